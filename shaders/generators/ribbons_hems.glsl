#version 330 core
//!include common.glsl
// All of a curtain that depends on the way along it alone, worked out once for each column instead of each pixel.
// Rows 0-7: the hem's light and height, one row a curtain. Rows 8-15: rays, comb and folds of the same curtains.
uniform float uReach;      // the table covers p.x from -uReach to uReach
uniform float uLayers;
out vec4 fragColour;

void main() {
    float t = uTravel * 0.25;
    float i = mod(floor(gl_FragCoord.y), 8.0);
    float across = (gl_FragCoord.x / uSize.x * 2.0 - 1.0) * uReach;
    float low = mix(-0.85, -0.35, uDice[0].y), high = low + mix(0.45, 1.15, uDice[0].z);
    float swing = mix(0.10, 0.60, uWarp);
    float k = i / (uLayers - 1.0);
    float depth = mix(0.55, 1.25, k);
    float phase = TAU * fract(uDice[1].x + 0.618 * i);
    float x = across / depth + 0.8 * sin(t * 0.4 + phase);
    vec4 tile = texture(uNoise, vec2(x * 2.1 + phase, t * 0.5 + phase) / 16.0);
    vec2 n = tile.xy * cos(t * 0.6 + phase) + tile.zw * sin(t * 0.6 + phase);
    float y = swing * (0.6 * sin(x * 1.15 + t * (0.7 + 0.3 * k) + phase) + 0.28 * sin(x * 2.3 - t * 0.9 + phase * 1.7)
            + 0.16 * n.x) + mix(low, high, k);
    // A kick runs along the hem as a ripple.
    y += 0.05 * (uKick + 0.4 * uLevels.y) * sin(x * 9.0 - uBeats * PI);
    float rays = 0.25 + 0.75 * smooth01(0.5 + 0.9 * n.y);
    float comb = 0.55 + 0.45 * sin(x * mix(12.0, 40.0, uDetail) + 5.0 * n.x + 2.5 * y);
    float folds = 0.08 + smooth01(0.5 + 0.6 * n.x + 0.45 * sin(x * 0.8 + phase * 3.0 + t));
    float hue = 0.30 * k + 0.09 * x + uDice[2].x;
    if (gl_FragCoord.y > 8.0) {
        fragColour = vec4(y, rays, 0.62 * depth * folds * rays * comb, hue);
    } else {
        float bright = depth * folds * (0.35 + 0.65 * rays) * (0.35 + 4.2 * uGlow) * (0.8 + 1.3 * uKick);
        fragColour = vec4(ink(hue, 0.58) * bright, y);
    }
}
