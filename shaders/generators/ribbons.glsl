#version 330 core
//!include common.glsl
// Curtains of light: bright hems that wander, with rays hanging from them into the dark.

vec3 picture(vec2 p) {
    float t = uTravel * 0.25;
    vec3 colour = vec3(0.0);
    int layers = 4 + int(uDetail * 4.0);
    float lean = mix(-0.35, 0.35, uDice[0].x);
    p = turn(lean) * p;
    for (int i = 0; i < layers; i++) {
        float k = float(i) / float(layers - 1);
        float depth = mix(0.55, 1.25, k);
        float phase = TAU * fract(uDice[1].x + 0.618 * float(i));
        float x = p.x / depth + 0.35 * sin(t * 0.4 + phase);
        float swing = mix(0.12, 0.62, uWarp);
        float y = swing * (sin(x * 1.15 + t * (0.7 + 0.3 * k) + phase) * 0.6 + sin(x * 2.3 - t * 0.9 + phase * 1.7) * 0.28
                  + sin(x * 5.1 + t * 1.3 + phase * 2.3) * 0.07 * (1.0 + 2.0 * uLevels.y));
        y += mix(-0.5, 0.45, k) + 0.1 * uKick * sin(x * 9.0 - uBeats * PI);
        float d = p.y / depth - y;
        // Morph: from bare silk lines to tall curtains.
        float tall = mix(0.05, 0.75, uMorph) * (0.7 + 0.5 * uKick);
        vec2 n = noise(vec2(x * 3.2 + phase + 0.8 * y, t * 0.35 + phase), t * 0.8 + phase);
        float rays = 0.35 + 0.65 * smooth01(0.5 + 1.1 * n.x) ;
        float fine = 0.6 + 0.4 * sin((x + 0.25 * n.y) * mix(14.0, 46.0, uDetail) + 3.0 * n.x);
        float above = d > 0.0 ? exp(-d / (tall * rays + 0.02)) : exp(d * 34.0);
        float hem = filament(d, 0.009 + 0.006 * depth);
        float bright = 0.35 + 0.65 * smooth01(0.5 + 0.9 * n.y + 0.3 * sin(x * 0.7 + phase));
        float hue = 0.30 * k + 0.18 * x * 0.5 + uDice[2].x + 0.16 * clamp(d, 0.0, 1.0);
        float veil = above * rays * mix(1.0, fine, 0.6);
        colour += ink(hue, 0.50 - 0.15 * clamp(d * 1.5, 0.0, 1.0)) * veil * bright * 0.36 * depth;
        colour += ink(hue + 0.08, 0.78) * hem * bright * (0.3 + 1.9 * uGlow) * (0.8 + 1.3 * uKick) * (0.55 + 0.45 * depth);
    }
    return colour * (1.0 + 0.45 * uKick);
}

//!include frame.glsl
