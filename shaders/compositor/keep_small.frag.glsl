// The trail in sRGB code, smaller or at its own size: what a correction is worked out from and its bands are made of.

#include "common.glsl"

uniform sampler2D picture;
uniform vec2 spread;  // uv between the four samples of a side; 0 where the sizes are the same

in vec2 uv;
out vec4 code;

void main() {
    vec3 light = vec3(0.0);
    if (spread == vec2(0.0)) {
        light = clean(texelFetch(picture, ivec2(gl_FragCoord.xy), 0).rgb);
    } else {
        for (int i = 0; i < 16; ++i) {
            vec2 offset = vec2(float(i % 4), float(i / 4)) - 1.5;
            light += clean(texture(picture, uv + offset * spread).rgb) * 0.0625;
        }
    }
    code = vec4(encode_srgb(light), 1.0);
}
