#version 330 core
//!include common.glsl
#define TRAIL_FADE 1.3
// Curtains of light: bright hems that wander, with rays hanging from them into the dark.

vec3 picture(vec2 p) {
    float t = uTravel * 0.25;
    vec3 colour = vec3(0.0);
    int layers = 3 + int(uDetail * 4.0);
    // Folded, the curtains hang in a ring, their rays outwards.
    if (uSymmetry > 1.5) p = vec2(p.x, 1.1 * length(p) - 0.9);
    else p = turn(mix(-0.55, 0.55, uDice[0].x)) * p;
    float low = mix(-0.85, -0.35, uDice[0].y), high = low + mix(0.45, 1.15, uDice[0].z);
    float swing = mix(0.10, 0.60, uWarp);
    // Morph: from bare silk lines to tall curtains.
    float tall = mix(0.03, 0.85, uMorph) * (0.8 + 0.4 * uKick);
    float combs = mix(12.0, 40.0, uDetail);
    for (int i = 0; i < layers; i++) {
        float k = float(i) / float(layers - 1);
        float depth = mix(0.55, 1.25, k);
        float phase = TAU * fract(uDice[1].x + 0.618 * float(i));
        float x = p.x / depth + 0.8 * sin(t * 0.4 + phase);
        vec2 n = noise(vec2(x * 2.1 + phase, t * 0.5 + phase), t * 0.6 + phase);
        float y = swing * (0.6 * sin(x * 1.15 + t * (0.7 + 0.3 * k) + phase) + 0.28 * sin(x * 2.3 - t * 0.9 + phase * 1.7)
                + 0.16 * n.x) + mix(low, high, k);
        // A kick runs along the hem as a ripple.
        y += 0.05 * (uKick + 0.4 * uLevels.y) * sin(x * 9.0 - uBeats * PI);
        float d = p.y / depth - y;
        float rays = 0.25 + 0.75 * smooth01(0.5 + 0.9 * n.y);
        float comb = 0.55 + 0.45 * sin(x * combs + 5.0 * n.x + 2.5 * y);
        // Above the hem light thins out upwards, below it ends at once.
        float veil = exp(d > 0.0 ? -d / (tall * rays + 0.015) : d * 40.0) * rays * comb;
        float hem = filament(d, 0.006 + 0.004 * depth) * (0.35 + 0.65 * rays);
        float folds = smooth01(0.5 + 0.6 * n.x + 0.45 * sin(x * 0.8 + phase * 3.0 + t));
        float hue = 0.30 * k + 0.09 * x + 0.22 * clamp(d, 0.0, 1.2) + uDice[2].x;
        vec3 tint = ink(hue, 0.58 - 0.16 * clamp(d * 1.3, 0.0, 1.0));
        colour += tint * depth * (0.08 + folds) * (0.62 * veil + hem * (0.35 + 4.2 * uGlow) * (0.8 + 1.3 * uKick));
    }
    return colour * (1.0 + 0.45 * uKick);
}

//!include frame.glsl
