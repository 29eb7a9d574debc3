// What a correction adds to the detail of the trail, at the size it was worked out from: steps 2-4 of core/correction.py.
//
// All of it is a difference in sRGB code, to be enlarged and added: the picture itself is never made smaller.

#include "common.glsl"

uniform sampler2D code;
uniform sampler2D quarter;     // these two stand upside down, see keep_mean.frag.glsl
uniform sampler2D sixteenth;
uniform vec2 pixel;            // uv of one px of `code`
uniform vec2 quarter_scale;    // uv of `code` -> uv of `quarter`: the last cells may stick out
uniform vec2 sixteenth_scale;
uniform mat3 colour;           // step 1, which the bands are taken after
uniform vec3 gains;            // fine, middle, coarse
uniform float ceiling_at;      // soft limit of the fine band; 0 for none
uniform vec3 noise;            // fine, middle, coarse
uniform mat3 tint;
uniform uint seed;

in vec2 uv;
out vec4 change;

// Three independent numbers of mean 0 and variance 1.
vec3 white(ivec2 cell, uint salt) {
    uvec2 at = uvec2(cell + 65536);
    vec2 first = hash_pixel(at, seed * 8u + salt);
    vec2 second = hash_pixel(at, seed * 8u + salt + 4u);
    return (vec3(first, second.x) - 0.5) * 3.4641016;
}

// Noise whose grains are `size` px: the blend is by the root of the sum of squares, so that its variance is 1 anywhere.
vec3 grains(float size, uint salt) {
    vec2 shift = hash_pixel(uvec2(salt, 77u), seed) * size;
    vec2 at = (floor(gl_FragCoord.xy) + shift) / size;
    ivec2 cell = ivec2(floor(at));
    vec2 inside = fract(at);
    vec4 weight = vec4((1.0 - inside.x) * (1.0 - inside.y), inside.x * (1.0 - inside.y),
                       (1.0 - inside.x) * inside.y, inside.x * inside.y);
    vec3 sum = weight.x * white(cell, salt) + weight.y * white(cell + ivec2(1, 0), salt)
             + weight.z * white(cell + ivec2(0, 1), salt) + weight.w * white(cell + ivec2(1, 1), salt);
    return sum * inversesqrt(dot(weight, weight));
}

// The 5 × 5 binomial [1 4 6 4 1] / 16, each side as three samples: two of them lie between two px.
vec3 binomial() {
    float side = 1.2;
    vec3 middle = texture(code, uv).rgb;
    vec3 cross = texture(code, uv + vec2(side, 0.0) * pixel).rgb + texture(code, uv - vec2(side, 0.0) * pixel).rgb
               + texture(code, uv + vec2(0.0, side) * pixel).rgb + texture(code, uv - vec2(0.0, side) * pixel).rgb;
    vec3 corners = texture(code, uv + vec2(side, side) * pixel).rgb + texture(code, uv - vec2(side, side) * pixel).rgb
                 + texture(code, uv + vec2(side, -side) * pixel).rgb + texture(code, uv - vec2(side, -side) * pixel).rgb;
    return middle * 0.140625 + cross * 0.1171875 + corners * 0.09765625;
}

void main() {
    vec3 sum = vec3(0.0);
#ifdef BANDS
    vec3 blur = binomial();
    vec2 from_top = vec2(uv.x, 1.0 - uv.y);
    vec3 large = texture(quarter, from_top * quarter_scale).rgb;
    vec3 larger = texture(sixteenth, from_top * sixteenth_scale).rgb;
    vec3 fine = colour * (texture(code, uv).rgb - blur);
    vec3 limited = gains.x * fine;
    if (ceiling_at > 0.0) {
        vec3 over = limited / ceiling_at;
        limited *= inversesqrt(1.0 + over * over);
    }
    sum += limited - fine;
    sum += (gains.y - 1.0) * (colour * (blur - large)) + (gains.z - 1.0) * (colour * (large - larger));
#endif
#ifdef NOISE
    sum += tint * (noise.x * white(ivec2(gl_FragCoord.xy), 1u) + noise.y * grains(3.0, 2u) + noise.z * grains(8.0, 3u));
#endif
    change = vec4(sum, 1.0);
}
