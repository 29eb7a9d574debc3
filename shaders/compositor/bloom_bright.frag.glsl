// What is bright enough to spill, at a quarter of the size: four bilinear taps see all sixteen pixels.

#include "common.glsl"

uniform sampler2D picture;
uniform vec2 pixel;       // uv of one pixel of the picture
uniform float threshold;  // brightness as displayed, 0-1

in vec2 uv;
out vec4 bright;

vec3 spill(vec2 at) {
    vec3 light = max(texture(picture, at).rgb, 0.0);
    float shown = sqrt(max(light.r, max(light.g, light.b)));
    return light * smoothstep(threshold - 0.15, threshold + 0.15, shown);
}

void main() {
    vec3 sum = spill(uv + pixel) + spill(uv - pixel);
    sum += spill(uv + vec2(pixel.x, -pixel.y)) + spill(uv - vec2(pixel.x, -pixel.y));
    bright = vec4(clean(sum * 0.25), 1.0);
}
