#version 330 core
//!include common.glsl
//!include place.glsl
// Julia sets seen through orbit traps: how near each orbit came to a ring, a cross and a point.

vec2 times(vec2 a, vec2 b) {
    return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

uniform vec2 uConstant;    // the set's constant, moving near the edge of the Mandelbrot set

vec3 picture(vec2 p) {
    float t = uTravel * 0.12;
    vec2 z = p * 0.98;
    z += 0.42 * uWarp * sin(z.yx * 1.7 + t * vec2(1.3, -1.1) + TAU * uDice[0].xy);
    vec2 centre = 0.35 * vec2(cos(t * 0.9 + TAU * uDice[1].x), sin(t * 0.7 + TAU * uDice[1].y));
    float radius = mix(0.25, 0.75, uMorph) + 0.08 * uKick;
    float ring = 1e3, cross = 1e3, point = 1e3, swift = 1.0, steps = 0.0;
    float when = 0.0;
    int limit = 12 + int(uDetail * 20.0);
    for (int i = 0; i < limit; i++) {
        swift = min(swift * 2.0 * length(z), 1e6);
        z = times(z, z) + uConstant;
        vec2 d = z - centre;
        // Early visits count for more: otherwise every point that stays inside would shine.
        float late = 1.0 + 0.30 * float(i);
        float toRing = abs(length(d) - radius) * late;
        if (toRing < ring) { ring = toRing; when = float(i); }
        cross = min(cross, min(abs(d.x), abs(d.y)) * late);
        point = min(point, dot(d, d) * late);
        steps += 1.0;
        if (dot(z, z) > 24.0) break;
    }
    float size = dot(z, z);
    float escaped = size > 24.0 ? 1.0 : 0.0;
    float even = steps + 1.0 - log2(max(log2(max(size, 1.0001)) * 0.5, 1e-3));
    // Detail finer than a pixel would sparkle: it sinks into its own glow.
    float fine = 1.0 / (1.0 + 0.20 * swift / (uSize.y * uZoom));
    float depth = exp(-0.07 * when);
    // Outside, light rises towards the set; the far plane stays dark.
    float close = mix(1.0, smooth01((even - 1.5) / 7.0), escaped);
    float lines = filament(ring, (0.010 + 0.010 * uGlow) * (0.35 + 0.65 * fine)) * depth;
    float hairs = filament(cross, 0.010) * fine;
    float stars = exp(-point * 60.0);
    float hue = 0.05 * when + 0.30 * sqrt(point) + uDice[2].x;
    float mist = exp(-3.6 * ring);
    vec3 colour = ink(hue, 0.06 + 0.42 * mist) * mist * (0.10 + 0.25 * escaped) * close;
    colour += ink(hue + 0.1, 0.62) * lines * (0.3 + 2.6 * uGlow) * (1.0 + 1.4 * uKick) * (0.25 + 0.75 * fine) * close;
    colour += ink(hue + 0.35, 0.55) * hairs * (0.08 + 0.5 * uGlow) * (0.5 + uLevels.z) * mix(close, 1.0, 0.12);
    colour += ink(hue + 0.55, 0.70) * stars * (0.35 + 1.2 * uHits.y + 0.6 * uKick) * close * (0.4 + 0.6 * fine);
    return colour * (1.0 + 0.4 * uKick);
}

//!include frame.glsl
