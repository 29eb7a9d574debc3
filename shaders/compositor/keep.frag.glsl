// The trail, corrected: steps 1-5 of core/correction.py on sRGB code, one read and one write of the whole picture.
//
// What is written is the light as it was plus what the correction changes: the fitted curves cancel where nothing
// changes, and light beyond the display's range, which a hue rotation needs, is kept. Alpha stays as trail.glsl says.

#include "common.glsl"

uniform sampler2D picture;
uniform mat3 colour;
uniform vec3 offset;
#ifdef DETAIL
uniform sampler2D change;
#endif
#ifdef ANCHOR
uniform sampler2D anchor;
uniform float anchor_share;
#endif

in vec2 uv;
out vec4 kept;

void main() {
    // No filter: beside a NaN it would spread.
    vec4 old = texelFetch(picture, ivec2(gl_FragCoord.xy), 0);
    vec3 light = clean(old.rgb);
    vec3 code = encode_srgb(light);
    vec3 better = colour * code + offset;
#ifdef DETAIL
    better += texture(change, uv).rgb;
#endif
#ifdef ANCHOR
    better = mix(better, texture(anchor, uv).rgb, anchor_share);
#endif
    better = clamp(better, 0.0, 1.0);
    kept = vec4(clean(light + decode_srgb(better) - decode_srgb(code)), old.a);
}
