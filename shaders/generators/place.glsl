// Fragment stage: where on the plane a pixel lies, after view and mirrors. FOLDED is set for programs with mirrors:
// a software renderer runs both sides of every branch, so the choice is made when compiling.
in vec2 vScreen;
in vec2 vPlane;
flat in vec2 vSwing;
flat in vec4 vFlow;
flat in vec4 vSide;

vec2 place() {
#ifdef FOLDED
    float a = atan(vPlane.y, vPlane.x) + 0.25 * TAU;
    a = abs(mod(a, vSide.x) - vSide.y);
    // The mirrored wedge looks at the picture from a slowly turning side.
    return mat2(vSide.z, vSide.w, -vSide.w, vSide.z) * (length(vPlane) * vec2(cos(a), sin(a)));
#else
    return vPlane;
#endif
}

// Smooth noise that changes in place: four tiles take turns, so that its strength never breathes.
vec2 noise(vec2 cells) {
    vec4 n = texture(uNoise, cells / 16.0);
    return n.xy * vSwing.x + n.zw * vSwing.y;
}

vec2 cloud(vec2 cells) {
    vec4 n = texture(uCloud, cells / 4.0);
    return n.xy * vSwing.x + n.zw * vSwing.y;
}
