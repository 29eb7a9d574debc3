#version 330 core
//!include common.glsl
//!include place.glsl
//!include ribbons_along.glsl
// The curtains' soft rays, drawn at half size.
out vec4 fragColour;

void main() {
    vec2 p = along(place());
    // Morph: from bare silk lines to tall curtains.
    float tall = mix(0.03, 0.85, uMorph) * (0.8 + 0.4 * uKick);
    vec3 colour = vec3(0.0);
    for (float i = 0.0; i < uLayers; i++) {
        vec4 curtain = row(p.x, 8.0 + i);
        float d = p.y / mix(0.55, 1.25, i / (uLayers - 1.0)) - curtain.x;
        // Above the hem light thins out upwards, below it ends at once.
        float veil = curtain.z * exp(d > 0.0 ? -d / (tall * curtain.y + 0.015) : d * 40.0);
        colour += veil * ink(curtain.w + 0.22 * clamp(d, 0.0, 1.2), 0.58 - 0.16 * clamp(d * 1.3, 0.0, 1.0));
    }
    fragColour = vec4(colour, 1.0);
}
