// Shared by all passes. Light is linear Rec. 709 inside the compositor; sRGB only at its two ends.

const float LIGHT_LIMIT = 16.0;
const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);

// A NaN or an infinity in a feedback buffer would spread for ever: it becomes black. A NaN fails every comparison.
vec3 clean(vec3 light) {
    bvec3 sane = lessThan(abs(light), vec3(LIGHT_LIMIT));
    return vec3(sane.x ? light.x : 0.0, sane.y ? light.y : 0.0, sane.z ? light.z : 0.0);
}

// How much a colour counts when two are compared: between luma, to which blue is nothing, and the plain mean.
float brightness(vec3 light) {
    return dot(light, vec3(0.30, 0.45, 0.25));
}

// The sRGB transfer fitted with square roots, which cost a third of pow(); within 0.15 of an 8-bit step both ways.
vec3 decode_srgb(vec3 code) {
    vec3 y = code * 0.947867299 + 0.052132701;
    vec3 curve = y * y * (0.07952888 + 1.05525 * sqrt(y) - 0.13479739 * y);
    return mix(curve, code * 0.0773993808, lessThanEqual(code, vec3(0.04045)));
}

vec3 encode_srgb(vec3 light) {
    light = clamp(light, 0.0, 1.0);
    vec3 root = sqrt(light);
    vec3 curve = 0.83375483 * root + 0.29810635 * sqrt(root) - 0.05531723 * light - 0.07690314;
    return min(mix(curve, light * 12.92, lessThanEqual(light, vec3(0.0031308))), 1.0);
}

// Two independent numbers, 0-1, that depend on the pixel and the seed alone: the same on every machine and every run.
vec2 hash_pixel(uvec2 pixel, uint seed) {
    uint h = pixel.x * 0x9E3779B1u ^ (pixel.y * 0x85EBCA77u + seed * 0xC2B2AE3Du);
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    h ^= h >> 16;
    return vec2(float(h & 0xFFFFu), float(h >> 16)) * (1.0 / 65535.0);
}
