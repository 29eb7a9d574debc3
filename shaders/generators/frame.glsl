// Frames a family's picture(): view and fold before it, feedback and dissolve after it.

#ifndef TRAIL_FADE
#define TRAIL_FADE 1.0     // families that travel fast let their trails fade faster
#endif

uniform sampler2D uPrevious;
uniform float uKeep;       // share of brighter light that stays from the last picture
uniform float uDissolve;   // share of the new picture while one scene gives way to another, else 1
uniform float uRescale;    // zoom of the last picture since then
uniform float uElapsed;    // s since the last picture, 0 on the first

out vec4 fragColour;

vec2 fold(vec2 p) {
    if (uSymmetry < 1.5) return p;
    float sector = TAU / uSymmetry;
    float a = atan(p.y, p.x) + 0.25 * TAU;
    a = abs(mod(a, sector) - 0.5 * sector);
    // The mirrored wedge looks at the picture from a slowly turning side.
    return turn(0.9 + uTravel * 0.03) * (length(p) * vec2(cos(a), sin(a)));
}

void main() {
    vec2 screen = (2.0 * gl_FragCoord.xy - uSize) / uSize.y;
    vec2 p = fold(turn(uTurn) * screen / (uZoom * (1.0 + 0.09 * uKick)));
    vec3 fresh = picture(p);
    fresh = min(max(fresh, vec3(0.0)), vec3(6.0));
    if (any(isnan(fresh))) fresh = vec3(0.0);

    vec2 centred = gl_FragCoord.xy / uSize - 0.5;
    // Trails rise like smoke: the last picture is pushed along a slow flow.
    vec2 push = uWarp * uElapsed * 0.05 * noise(screen * 1.4 + 3.0, uTravel * 0.3) * vec2(uSize.y / uSize.x, 1.0);
    vec2 from = centred / uRescale + 0.5 - push;
    vec2 inside = smoothstep(vec2(0.0), vec2(0.004), from) * smoothstep(vec2(0.0), vec2(0.004), 1.0 - from);
    vec3 before = texture(uPrevious, from).rgb * inside.x * inside.y;

    vec3 colour = fresh + pow(uKeep, TRAIL_FADE) * max(before - fresh, 0.0);
    fragColour = vec4(mix(before, colour, uDissolve), 1.0);
}
