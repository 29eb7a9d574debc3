#version 330 core
// From linear light to the bytes that leave: soft glow, film curve, sRGB, dither. Draws upside down, because frames
// are handed over top row first.
uniform sampler2D uImage;
uniform sampler2D uHalo;
uniform vec2 uSize;
uniform float uGlow;
uniform float uKick;
uniform float uContrast;
out vec4 fragColour;

vec3 srgb(vec3 c) {
    return mix(c * 12.92, 1.055 * pow(max(c, vec3(1e-6)), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}

void main() {
    vec2 uv = gl_FragCoord.xy / uSize;
    uv.y = 1.0 - uv.y;
    vec3 colour = texture(uImage, uv).rgb;
    colour += texture(uHalo, uv).rgb * (0.10 + 0.45 * uGlow) * (1.0 + 0.5 * uKick);
    // A shoulder that never quite reaches white and a toe that lets the dark be dark.
    colour = 1.0 - exp(-1.35 * colour);
    float toe = mix(0.004, 0.06, uContrast);
    colour = colour * colour * (1.0 + toe) / (colour + toe);
    vec3 seen = srgb(colour);
    seen = mix(seen, seen * seen * (3.0 - 2.0 * seen), uContrast * 0.9 - 0.2);
    // Interleaved gradient noise (J. Jimenez, 2014) hides the steps of eight bits; it stands still.
    float grain = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    fragColour = vec4(seen + (grain - 0.5) / 255.0, 1.0);
}
