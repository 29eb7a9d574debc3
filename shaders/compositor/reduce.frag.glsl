// The picture in small for the flash limiter: each result is the mean of sixteen samples spread over its cell.

uniform sampler2D picture;
uniform vec2 cell;  // uv of one result

in vec2 uv;
out vec4 small;

void main() {
    vec3 sum = vec3(0.0);
    for (int i = 0; i < 16; ++i) {
        vec2 offset = vec2(float(i % 4), float(i / 4)) * 0.25 - 0.375;
        sum += texture(picture, uv + offset * cell).rgb;
    }
    small = vec4(sum * 0.0625, 1.0);
}
