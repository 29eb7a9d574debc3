#version 330 core
//!include common.glsl
//!include place.glsl
// The cloud of points over a breath of haze.
uniform sampler2D uPoints; // drawn before, view and zoom included

vec3 picture(vec2 p) {
    // The points were drawn as seen: undo the view, so that folding mirrors them.
    vec2 seen = turn(-uTurn) * p * uZoom * (1.0 + 0.09 * uKick);
    vec2 uv = 0.5 + 0.5 * seen * vec2(uSize.y / uSize.x, 1.0);
    // Folding and shrinking look past the edge of what was drawn: there is nothing.
    vec2 edge = smoothstep(vec2(0.0), vec2(0.02), uv) * smoothstep(vec2(0.0), vec2(0.02), 1.0 - uv);
    float inside = uSymmetry > 1.5 ? edge.x * edge.y : 1.0;
    vec3 points = texture(uPoints, uv).rgb * inside;
    vec2 haze = cloud(p * 0.35 + 3.0 * uDice[1].xy + 0.02 * uTravel);
    float mist = smooth01(0.25 + 0.8 * haze.x) * exp(-1.1 * dot(p, p) * 0.6);
    return points + ink(uDice[2].x + 0.3 * haze.y, 0.30) * mist * (0.10 + 0.12 * uLevels.x + 0.15 * uKick);
}

//!include frame.glsl
