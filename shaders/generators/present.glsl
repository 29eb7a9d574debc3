#version 330 core
// From linear light to the bytes that leave: soft glow, film curve, dither. Draws upside down, because frames are
// handed over top row first.
uniform sampler2D uImage;
uniform sampler2D uHalo;
uniform vec2 uSize;
uniform float uHaloShare;
uniform float uFilm[6];    // the film curve and sRGB in one: a polynomial in sqrt(light / (light + FILM_MIDDLE))
uniform float uFilmMiddle;
out vec4 fragColour;

void main() {
    ivec2 texel = ivec2(gl_FragCoord.x, uSize.y - gl_FragCoord.y);
    vec2 uv = vec2(gl_FragCoord.x, uSize.y - gl_FragCoord.y) / uSize;
    vec3 light = texelFetch(uImage, texel, 0).rgb + uHaloShare * texture(uHalo, uv).rgb;
    vec3 t = sqrt(light / (light + uFilmMiddle));
    vec3 seen = t * (uFilm[0] + t * (uFilm[1] + t * (uFilm[2] + t * (uFilm[3] + t * (uFilm[4] + t * uFilm[5])))));
    // Interleaved gradient noise (J. Jimenez, 2014) hides the steps of eight bits; it stands still.
    float grain = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    fragColour = vec4(seen + (grain - 0.5) / 255.0, 1.0);
}
