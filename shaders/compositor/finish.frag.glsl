// Everything from the composed light to the display, in one pass.

#include "common.glsl"
#include "grade.glsl"

uniform sampler2D picture;
uniform float aspect;
uniform float vignette;
uniform float grain;
uniform uint grain_seed;
uniform float dither_turn;  // 0-1, another one each frame
uniform float strobe;     // a factor
uniform float flash;      // fade to white
uniform float master;     // fade to black and level: a factor, and the last word
#ifdef BLOOM
uniform sampler2D bloom;
uniform float bloom_amount;
#endif
#ifdef CHROMA
uniform float chroma;     // widths at the left and right edge
#endif
#ifdef KALEIDO
uniform float kaleido_sector;  // radians a mirror sector
uniform float kaleido_turn;    // radians
uniform float kaleido_mix;
#endif
#ifdef LIMIT
uniform sampler2D now;    // the picture about to be shown, in small, before limiting
uniform sampler2D calm;   // its running mean
uniform float limit;
#endif

in vec2 uv;
layout(location = 0) out vec4 programme;
#ifdef PROBE
uniform sampler2D calm_before;
uniform float calm_share;  // how much of the running mean this frame leaves
layout(location = 1) out vec4 calm_next;
#endif

#ifdef KALEIDO
vec2 mirrored(vec2 at) {
    return 1.0 - abs(at - 2.0 * floor(at * 0.5) - 1.0);
}

vec2 folded(vec2 at) {
    vec2 p = (at - 0.5) * vec2(aspect, 1.0);
    float angle = atan(p.y, p.x) + kaleido_turn;
    float inside = abs(mod(angle, 2.0 * kaleido_sector) - kaleido_sector) - kaleido_turn;
    vec2 q = length(p) * vec2(cos(inside), sin(inside));
    return mirrored(q / vec2(aspect, 1.0) + 0.5);
}
#endif

vec3 light_at(vec2 at) {
#ifdef CHROMA
    vec2 apart = (at - 0.5) * (2.0 * chroma);
    vec3 light = vec3(texture(picture, at - apart).r, texture(picture, at).g, texture(picture, at + apart).b);
#else
    vec3 light = texture(picture, at).rgb;
#endif
#ifdef BLOOM
    light += bloom_amount * texture(bloom, at).rgb;
#endif
    return light;
}

void main() {
    vec3 light = light_at(uv);
#ifdef KALEIDO
    light = mix(light, light_at(folded(uv)), kaleido_mix);
#endif
    vec3 code = graded(clean(light));

    vec2 corner = (uv - 0.5) * vec2(aspect, 1.0);
    float away = dot(corner, corner) / (0.25 * (aspect * aspect + 1.0));
    code *= 1.0 - vignette * smoothstep(0.05, 1.1, away);

#ifndef PROBE
    // Grain is strongest in the middle tones and leaves black nearly clean.
    vec2 speck = hash_pixel(uvec2(gl_FragCoord.xy), grain_seed);
    float tone = dot(code, LUMA);
    code += (speck.x + speck.y - 1.0) * grain * (0.08 + 0.92 * 4.0 * tone * (1.0 - tone)) * 0.35;
#endif
    code = mix(clamp(code * strobe, 0.0, 1.0), vec3(1.0), flash);
#ifdef LIMIT
    code += limit * (texture(calm, uv).rgb - texture(now, uv).rgb);
#endif
#ifdef PROBE
    calm_next = vec4(mix(code, clean(texture(calm_before, uv).rgb), calm_share), 1.0);
#else
    code = clamp(code, 0.0, 1.0) * master;
    code += (fract(speck.x + dither_turn) - 0.5) * (0.98 / 255.0);
#endif
    programme = vec4(clamp(code, 0.0, 1.0), 1.0);
}
