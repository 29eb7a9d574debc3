#version 330 core
//!include common.glsl
//!include place.glsl
// The reaction's culture as a lit, wet relief with glowing rims.
uniform sampler2D uRelief; // food, culture, its slope
uniform vec3 uLamp;        // direction of the light

vec3 picture(vec2 p) {
    p += 0.05 * uWarp * sin(2.1 * p.yx + vec2(1.3, -0.9) * p + 5.0 * uDice[2].xy + vFlow.zw);
    vec4 mid = texture(uRelief, p * vec2(0.23625, 0.42) + 0.5);
    vec3 normal = normalize(vec3(-mid.ba, 0.05));
    float culture = smoothstep(0.06, 0.32, mid.g);
    float diffuse = max(dot(normal, uLamp), 0.0);
    // The mirror's view of the lamp to a high power, by squaring.
    float gloss = max(2.0 * diffuse * normal.z - uLamp.z, 0.0);
    gloss *= gloss; gloss *= gloss; gloss *= gloss * gloss * gloss * gloss; // to the 20th
    float rim = filament(mid.g - mix(0.12, 0.24, uMorph), 0.018 + 0.02 * uDetail);
    vec2 veil = noise(p * 0.55 + 8.0 * uDice[1].xy);
    float presence = smooth01(0.66 + 1.0 * veil.x - 0.20 * length(p));
    float hue = 0.5 * (1.0 - mid.r) + 0.28 * veil.y + uDice[3].x;
    vec3 colour = ink(hue, 0.08 + 0.5 * culture * diffuse) * (0.04 + culture * diffuse * 0.75);
    colour += ink(hue + 0.2, 0.74) * rim * (0.12 + 1.5 * uGlow) * (0.6 + 1.5 * uKick);
    colour += ink(hue + 0.35, 0.93) * gloss * culture * (0.35 + 0.5 * uLevels.z);
    return colour * presence * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
