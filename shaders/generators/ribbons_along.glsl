// Where on the curtains a pixel lies, and the curtains' table.
uniform sampler2D uHems;
uniform float uReach;
uniform float uLayers;

vec2 along(vec2 p) {
#ifdef FOLDED
    // Folded, the curtains hang in a ring, their rays outwards.
    return vec2(p.x, 1.1 * length(p) - 0.9);
#else
    float lean = mix(-0.55, 0.55, uDice[0].x);
    return mat2(cos(lean), sin(lean), -sin(lean), cos(lean)) * p;
#endif
}

// Row i of the table at this place.
vec4 row(float x, float i) {
    return texture(uHems, vec2(0.5 + 0.5 * x / uReach, (i + 0.5) / 16.0));
}
