// Widen the light of the smaller levels back into the larger one.

uniform sampler2D narrow;
uniform sampler2D wide;
uniform vec2 pixel;      // of the narrow level
uniform float scatter;   // share of the light that comes from the wider spread

in vec2 uv;
out vec4 light;

void main() {
    vec2 h = pixel * 0.5;
    vec3 sum = texture(narrow, uv + vec2(h.x, h.y)).rgb + texture(narrow, uv - vec2(h.x, h.y)).rgb;
    sum += texture(narrow, uv + vec2(h.x, -h.y)).rgb + texture(narrow, uv - vec2(h.x, -h.y)).rgb;
    light = vec4(mix(texture(wide, uv).rgb, sum * 0.25, scatter), 1.0);
}
