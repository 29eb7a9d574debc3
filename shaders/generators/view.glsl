// Vertex stage of every family: one triangle that covers the target, and what is the same, or linear, across it. A
// software renderer would otherwise work all of this out again at every pixel.
out vec2 vScreen;          // y from -1 to 1, before the view
out vec2 vPlane;           // turned and zoomed
flat out vec2 vSwing;      // the slow circle that noise changes along
flat out vec4 vFlow;       // phases of the flow that pushes trails
flat out vec4 vSide;       // mirrors: sector, half of it, and the wedge's turned view

void main() {
    vec2 corner = 2.0 * vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2)) - 1.0;
    gl_Position = vec4(corner, 0.0, 1.0);
    vScreen = corner * vec2(uSize.x / uSize.y, 1.0);
    vPlane = turn(uTurn) * vScreen / (uZoom * (1.0 + 0.09 * uKick));
    vSwing = vec2(cos(0.1 * uTravel), sin(0.1 * uTravel));
    vFlow = uTravel * vec4(0.31, -0.23, 0.17, 0.27) + vec4(0.0, 1.7, 3.1, 4.5);
    float sector = TAU / max(uSymmetry, 1.0), side = 0.9 + uTravel * 0.03;
    vSide = vec4(sector, 0.5 * sector, cos(side), sin(side));
#ifdef STILL
    still();
#endif
}
