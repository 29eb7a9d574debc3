#version 330 core
//!include common.glsl
// A first state for the reaction that is already near its own wavelength, so that it forms within a few steps.
out vec4 fragColour;

void main() {
    vec2 uv = gl_FragCoord.xy / uSize;
    vec2 cells = uv * vec2(32.0, 16.0) + 16.0 * uDice[0].xy;
    vec2 n = noise(cells, TAU * uDice[0].z);
    vec2 broad = texture(uCloud, uv + uDice[1].xy).xy;
    float v = smoothstep(0.0, 0.35, n.x + 0.5 * broad.x);
    fragColour = vec4(mix(1.0, 0.45, v), 0.28 * v, 0.0, 1.0);
}
