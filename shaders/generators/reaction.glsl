#version 330 core
//!include common.glsl
#define TRAIL_FADE 2.0
// The reaction's culture as a lit, wet relief with glowing rims.
uniform sampler2D uState;
uniform vec2 uStateSize;

vec2 look(vec2 uv) {
    // Quadratic smoothing: the state is coarser than the screen.
    vec2 h = 0.5 / uStateSize;
    return 0.25 * (texture(uState, uv + h).rg + texture(uState, uv - h).rg
                 + texture(uState, uv + vec2(h.x, -h.y)).rg + texture(uState, uv + vec2(-h.x, h.y)).rg);
}

vec3 picture(vec2 p) {
    float t = uTravel * 0.2;
    p += 0.10 * uWarp * noise(p * 0.9 + 5.0 * uDice[2].xy, t).xy;
    vec2 scale = vec2(uStateSize.y / uStateSize.x, 1.0) * 0.42;
    vec2 uv = p * scale + 0.5;
    vec2 e = vec2(1.3) / uStateSize;
    vec2 mid = look(uv);
    float dx = look(uv + vec2(e.x, 0.0)).g - mid.g;
    float dy = look(uv + vec2(0.0, e.y)).g - mid.g;
    vec3 normal = normalize(vec3(-dx, -dy, 0.05));
    vec3 lamp = normalize(vec3(cos(t) * 0.7, 0.8, 0.55));
    float culture = smoothstep(0.06, 0.32, mid.g);
    float diffuse = max(dot(normal, lamp), 0.0);
    float gloss = pow(max(dot(reflect(-lamp, normal), vec3(0.0, 0.0, 1.0)), 0.0), 22.0);
    float rim = filament(mid.g - mix(0.12, 0.24, uMorph), 0.018 + 0.02 * uDetail);
    vec2 veil = noise(p * 0.55 + 8.0 * uDice[1].xy, t * 0.6);
    float presence = smooth01(0.66 + 1.0 * veil.x - 0.20 * length(p));
    float hue = 0.5 * (1.0 - mid.r) + 0.28 * veil.y + uDice[3].x;
    vec3 colour = ink(hue, 0.08 + 0.5 * culture * diffuse) * (0.04 + culture * diffuse * 0.75);
    colour += ink(hue + 0.2, 0.74) * rim * (0.12 + 1.5 * uGlow) * (0.6 + 1.5 * uKick);
    colour += ink(hue + 0.35, 0.93) * gloss * culture * (0.35 + 0.5 * uLevels.z);
    return colour * presence * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
