#version 330 core
//!include common.glsl
// A cloud of points on a form in space. Every point knows its place from its number and the travel alone, so the
// cloud needs no memory: a worker that starts anew draws the same one.
uniform float uCount;
out float vLight;
out float vSoft;
out vec3 vColour;

vec3 form(float kind, vec2 u) {
    float a = TAU * u.x, b = TAU * u.y;
    if (kind < 0.5) {                       // a sphere
        float h = 2.0 * u.y - 1.0;
        return vec3(sqrt(1.0 - h * h) * vec2(cos(a), sin(a)), h).xzy * 0.82;
    }
    if (kind < 1.5) {                       // a galaxy: two wound arms and a core
        float r = 0.06 + 1.25 * sqrt(u.x);
        float arm = b * 0.16 + PI * step(0.5, fract(u.y * 7.0)) + 4.2 * log(r + 0.25);
        return vec3(r * cos(arm), 0.10 * (fract(u.y * 91.7) - 0.5) / (r + 0.25), r * sin(arm));
    }
    if (kind < 2.5) {                       // a knotted ring
        float w = 0.62 + 0.24 * cos(3.0 * a);
        vec3 c = vec3(w * cos(2.0 * a), 0.32 * sin(3.0 * a), w * sin(2.0 * a));
        return c + 0.07 * vec3(cos(b), sin(b), cos(b + 2.0)) * 1.4;
    }
    // a sea of waves
    vec2 g = (u - 0.5) * vec2(4.4, 3.0);
    return vec3(g.x, -0.25 + 0.16 * sin(g.x * 2.1 + uTravel * 0.8) * cos(g.y * 2.7 - uTravel * 0.6), g.y);
}

void main() {
    float id = float(gl_VertexID);
    // The plastic sequence (M. Roberts, 2018) spreads points evenly in two dimensions.
    vec2 u = fract(vec2(0.7548776662, 0.5698402910) * id + uDice[3].xy);
    float chance = fract(id * 0.6180339887);
    float kind = floor(uDice[0].x * 4.0);
    float step_ = uMorph * 2.0;
    float first = mod(kind + floor(min(step_, 1.0)), 4.0);
    vec3 q = mix(form(first, u), form(mod(first + 1.0, 4.0), u), smooth01(step_ - min(floor(step_), 1.0)));

    float t = uTravel * 0.35;
    vec4 n = textureLod(uNoise, (q.xy * 1.3 + q.z * 0.9 + 5.0 * uDice[1].xy) / 16.0, 0.0);
    vec2 m = textureLod(uNoise, (q.zx * 1.4 + 9.0 * uDice[1].zw + 0.12 * t) / 16.0, 0.0).xy;
    vec3 stir = vec3(n.xy * cos(t) + n.zw * sin(t), m.x * cos(t * 0.7) + m.y * sin(t * 0.7));
    q += stir * mix(0.03, 0.85, uWarp * uWarp) * (0.4 + 0.6 * chance);
    q *= 1.0 + 0.28 * uKick * (0.3 + chance) + 0.05 * uLevels.x;

    q.xz = turn(uTravel * 0.13 + TAU * uDice[0].y) * q.xz;
    q.yz = turn(mix(0.15, 0.75, uDice[0].z) + 0.22 * sin(uTravel * 0.09)) * q.yz;
    float zoom = uZoom * (1.0 + 0.09 * uKick);
    float depth = 2.5 + q.z;
    vec2 s = turn(-uTurn) * (q.xy * zoom * 2.35 / max(depth, 0.3));
    gl_Position = vec4(s * vec2(uSize.y / uSize.x, 1.0), 0.0, 1.0);

    // Depth of field: near and far points open into soft discs of the same light.
    float blur = abs(q.z + 0.15) * mix(0.010, 0.003, uDetail) * 2.0;
    float bead = mix(0.0045, 0.0026, uDetail) * (0.5 + chance) / depth * 2.5;
    float size = (bead + blur * step(0.86, chance) + 0.2 * blur) * uSize.y * sqrt(zoom);
    float shown = clamp(size, 1.6, 26.0);
    gl_PointSize = shown;
    float twinkle = 0.65 + 0.35 * sin(uTravel * (1.0 + 2.0 * chance) + id) + 1.2 * uHits.z * step(0.8, chance);
    vLight = twinkle * min(1.0, pow(bead * uSize.y * 2.2 / shown, 1.6)) * smooth01((depth - 0.5) * 1.5);
    vSoft = clamp((shown - 3.0) / 8.0, 0.0, 1.0);
    float hue = 0.22 * length(q) + 0.25 * stir.x + 0.08 * chance + uDice[2].x;
    vColour = ink(hue, mix(0.55, 0.82, chance * chance)) * (0.7 + 1.8 * uGlow) * (1.0 + 0.9 * uKick);
}
