#version 330 core
//!include common.glsl
//!include place.glsl
// The network's pattern as glowing contours and lit shapes.
uniform sampler2D uField;  // value, hue, shape, body at half size, view and mirrors included

vec3 picture(vec2 p) {
    vec4 field = texture(uField, gl_FragCoord.xy / uSize);
    float value = field.x, hue = field.y, shape = field.z;
    vec2 slope = vec2(dFdx(value), dFdy(value)) * uSize.y * 0.5;
    float steep = length(slope);
    // Glow lines on the contours, as thin on screen wherever they run; crowded ones fade.
    float count = 1.0 + 2.0 * uDetail;
    float slant = max(steep, 0.4);
    float apart = abs(fract(value * count + 0.25) - 0.5) / (count * slant);
    float crowd = count * steep * 2.0 / uSize.y;
    float line = filament(apart, 0.007 + 1.3 / uSize.y) / (1.0 + 8.0 * crowd);
    float halo = filament(apart, 0.055);
    // Shapes are lit from one side.
    float focus = smooth01(1.25 - 0.42 * length(p));
    float sheen = 0.5 + 0.5 * dot(slope, vec2(0.6, 0.8)) / (0.6 + steep);
    float body = shape * sheen * sheen * field.w;
    vec3 colour = ink(hue, 0.05 + 0.50 * body) * body * 1.1;
    float lit = (0.12 + 0.88 * shape) * focus;
    float glow = line * lit * (0.3 + 4.6 * uGlow) * (0.8 + 1.5 * uKick);
    glow += halo * lit * lit * 0.22 * uGlow * (0.7 + uKick);
    colour += ink(hue + 0.25, 0.64) * glow;
    return colour * focus * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
