// The way the tunnel winds.
vec2 course(float z) {
    return vec2(sin(z * 0.31 + TAU * uDice[0].x) + 0.5 * sin(z * 0.17), cos(z * 0.23 + TAU * uDice[0].y));
}
