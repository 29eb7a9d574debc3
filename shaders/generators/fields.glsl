#version 330 core
//!include common.glsl
//!include place.glsl
// Ink and silk: space is folded again and again by sines, and the folds are drawn as cloth, ridges and threads.

vec3 picture(vec2 p) {
    float t = uTravel * 0.17;
    vec2 q = p * mix(1.35, 1.75, uDice[0].w) + 9.0 * uDice[0].xy;
    mat2 spin = turn(0.7 + 1.6 * uDice[0].z);
    float bend = mix(0.25, 1.15, uWarp) * (1.0 + 0.15 * uLevels.x);
    float octave = 1.0;
    vec2 phase = TAU * uDice[1].xy;
    vec2 early = q;
    int folds = 4 + int(2.0 * uDetail + 0.5);
    for (int i = 0; i < folds; i++) {
        q += bend / octave * sin(spin * q.yx * octave * 1.25 + phase + t * vec2(1.0, -0.83) * (0.6 + 0.25 * float(i)));
        spin = spin * turn(1.1);
        octave *= mix(1.45, 1.72, uDetail);
        phase += 1.9;
        if (i == 1) early = q;
    }
    // Cloth: one wide wave in folded space. Its slope towards the light gives the sheen.
    float cloth = sin(q.x * 0.9 + early.y * 0.6);
    float other = sin(q.y * 1.1 - early.x * 0.5 + 1.3);
    float value = mix(cloth, cloth * other + 0.35 * other, uMorph);
    vec2 slope = vec2(dFdx(value), dFdy(value)) * uSize.y * 0.5;
    float steep = length(slope);
    float sheen = 0.5 + 0.5 * dot(slope, normalize(vec2(0.6, 0.8))) / (1.0 + steep);

    // Dark space: a broad veil decides where there is cloth at all.
    vec2 veil = noise(p * 0.75 + 0.25 * early + 4.0 * uDice[2].xy);
    float presence = 0.06 + 0.94 * smooth01(0.95 + 0.95 * veil.x - 0.30 * length(p));
    float body = presence * sheen * sheen * (0.25 + 0.45 * smooth01(value)) * smooth01(0.15 + steep);

    // Threads lie along the contours, as thin on screen wherever they run; where contours crowd closer than pixels
    // they fade, and where there is no slope there is no line.
    float count = mix(3.0, 9.0, uDetail);
    float slant = max(steep, 0.55);
    float apart = abs(fract(value * count) - 0.5) / (count * slant);
    float crowd = count * steep * 2.0 / uSize.y;
    float thread = filament(apart, 0.006 + 1.2 / uSize.y) / (1.0 + 3.0 * crowd) * smooth01(steep);
    float ridge = filament(value / slant, 0.009 + 0.010 * uGlow) * smooth01(steep * 1.5);
    float hue = 0.14 * early.x + 0.22 * value + 0.15 * veil.y + uDice[2].z;
    vec3 colour = ink(hue, 0.06 + 0.60 * body) * body * 3.4;
    float lit = presence * (0.35 + 0.65 * sheen);
    colour += ink(hue + 0.12, 0.58) * thread * lit * (0.2 + 1.0 * uGlow) * (0.6 + 0.6 * uLevels.z);
    colour += ink(hue + 0.3, 0.70) * ridge * lit * (0.4 + 3.0 * uGlow) * (0.8 + 1.6 * uKick);
    return colour * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
