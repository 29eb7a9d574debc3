#version 330 core
// One point: a hot bead, or a soft disc when out of focus.
in float vLight;
in float vSoft;
in vec3 vColour;
out vec4 fragColour;

void main() {
    vec2 d = 2.0 * gl_PointCoord - 1.0;
    float r2 = dot(d, d);
    float bead = max(1.0 - r2, 0.0);
    float disc = smoothstep(1.0, 0.7, r2) * 0.6;
    fragColour = vec4(vColour * vLight * mix(bead * bead, disc, vSoft), 1.0);
}
