#version 330 core
//!include common.glsl
// A first state for the reaction that is already near its own wavelength, so that it forms within a few steps.
out vec4 fragColour;

void main() {
    vec2 uv = gl_FragCoord.xy / uSize;
    vec4 tile = texture(uNoise, uv + uDice[0].xy);
    vec2 n = tile.xy * cos(TAU * uDice[0].z) + tile.zw * sin(TAU * uDice[0].z);
    float broad = texture(uCloud, uv + uDice[1].xy).x;
    float v = 1.0 - smoothstep(0.04, 0.16, abs(n.x + 0.25 * broad));
    fragColour = vec4(mix(1.0, 0.35, v), 0.32 * v, 0.03, 0.06);
}
