#version 330 core
//!include common.glsl
//!include place.glsl
//!include ribbons_along.glsl
// Curtains of light: bright hems that wander, with rays hanging from them into the dark.
uniform sampler2D uVeil;   // the rays, drawn before, view and mirrors included

vec3 picture(vec2 p) {
    p = along(p);
    vec3 colour = texture(uVeil, gl_FragCoord.xy / uSize).rgb;
    for (float i = 0.0; i < uLayers; i++) {
        vec4 hem = row(p.x, i);
        float depth = mix(0.55, 1.25, i / (uLayers - 1.0));
        colour += hem.rgb * filament(p.y / depth - hem.a, 0.006 + 0.004 * depth);
    }
    return colour * (1.0 + 0.45 * uKick);
}

//!include frame.glsl
