// The mean over 4 × 4 px, the last px repeated: four samples, each between four px.
//
// Cells are counted from the top left of the picture, so what is drawn stands upside down; what it is drawn from may, too.

uniform sampler2D wide;
uniform vec2 pixel;     // uv of one px of `wide`
uniform float upright;  // 1 where the first row of `wide` is the lowest, 0 where it stands upside down

out vec4 mean;

vec3 four(vec2 at) {
    vec2 from = at * pixel;
    return texture(wide, vec2(from.x, mix(from.y, 1.0 - from.y, upright))).rgb;
}

void main() {
    vec2 at = floor(gl_FragCoord.xy) * 4.0 + 1.0;
    vec3 sum = four(at) + four(at + vec2(2.0, 0.0)) + four(at + vec2(0.0, 2.0)) + four(at + 2.0);
    mean = vec4(sum * 0.25, 1.0);
}
