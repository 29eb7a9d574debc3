// The way to the crowd's page: a white plate with a QR code and its words. Everything stands on whole pixels.

uniform sampler2D modules;  // one texel a module, top row first; 1 is dark
uniform sampler2D caption;  // how much ink, in the plate's own pixels, top row first
uniform ivec2 corner;       // lower left of the plate, px
uniform ivec2 extent;       // of the plate, px
uniform float module;       // side of a module, px: whole
uniform ivec2 words;        // top left of the caption, px from the plate's top left
uniform float radius;       // of the plate's corners, px
uniform float shadow;       // reach of the dark rim that sets the plate off from a white picture, px
uniform float seen;         // 0-1
uniform float master;       // blackout and level: a factor

const int QUIET = 4;        // modules of white on every side, as the standard asks
const float PAPER = 1.0;
const float INK = 0.012;

out vec4 covered;           // premultiplied

float ink(ivec2 at) {
    // Dividing whole numbers is slow wherever there is no instruction for it.
    ivec2 cell = ivec2((vec2(at) + 0.5) / module) - QUIET;
    // Outside, texelFetch is undefined.
    if (all(greaterThanEqual(cell, ivec2(0))) && all(lessThan(cell, textureSize(modules, 0))))
        return texelFetch(modules, cell, 0).r;
    ivec2 letter = at - words;
    if (all(greaterThanEqual(letter, ivec2(0))) && all(lessThan(letter, textureSize(caption, 0))))
        return texelFetch(caption, letter, 0).r;
    return 0.0;
}

void main() {
    vec2 half_size = 0.5 * vec2(extent);
    vec2 beyond = abs(gl_FragCoord.xy - vec2(corner) - half_size) - half_size + radius;
    float outside = length(max(beyond, 0.0)) + min(max(beyond.x, beyond.y), 0.0) - radius;
    float plate = clamp(0.5 - outside, 0.0, 1.0);
    float dim = clamp(1.0 - outside / shadow, 0.0, 1.0);
    float alpha = mix(0.5 * dim * dim, 1.0, plate);
    ivec2 at = ivec2(gl_FragCoord.xy) - corner;
    float code = mix(PAPER, INK, ink(ivec2(at.x, extent.y - 1 - at.y)));
    covered = vec4(vec3(code * plate * master), alpha) * seen;
}
