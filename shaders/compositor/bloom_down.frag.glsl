// Halve the light, each result a soft average over 4x4.

uniform sampler2D wide;
uniform vec2 pixel;

in vec2 uv;
out vec4 narrow;

void main() {
    vec3 sum = texture(wide, uv).rgb * 4.0;
    sum += texture(wide, uv + pixel).rgb + texture(wide, uv - pixel).rgb;
    sum += texture(wide, uv + vec2(pixel.x, -pixel.y)).rgb + texture(wide, uv - vec2(pixel.x, -pixel.y)).rgb;
    narrow = vec4(sum * 0.125, 1.0);
}
