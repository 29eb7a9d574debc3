#version 330 core
//!include common.glsl
//!include place.glsl
// Hyperbolic tilings: mirrors fold the Poincaré disk into one triangle, and light runs along its walls.

uniform vec4 uMirror;      // the circle mirror: centre x, its radius squared; then cos, sin of the wedge's wall

vec3 picture(vec2 p) {
    float t = uTravel * 0.2;
    vec2 z = p * 0.82;
    float outside = dot(z, z);
    z /= max(1.0, outside);            // the plane beyond the rim mirrors the disk
    float rim = max(1.0 - dot(z, z), 0.004);   // how much the disk shrinks here
    // Travel: a hyperbolic translation along a closed, slow path.
    float far = mix(0.12, 0.62, uWarp);
    vec2 a = far * vec2(cos(t * 0.61 + TAU * uDice[0].x), sin(t * 0.47 + TAU * uDice[0].y));
    vec2 top = z + a;
    vec2 low = vec2(1.0 + dot(a, z), a.x * z.y - a.y * z.x);
    z = vec2(dot(top, low), top.y * low.x - top.x * low.y) / dot(low, low);
    float r0 = length(z);

    float scale = 1.0, flips = 0.0;
    vec2 wall = vec2(-uMirror.w, uMirror.z);
    for (int i = 0; i < 14; i++) {
        z.y = abs(z.y);
        float side = dot(z, wall);
        if (side > 0.0) { z -= 2.0 * side * wall; flips += 1.0; }
        z.y = abs(z.y);
        vec2 d = z - vec2(uMirror.x, 0.0);
        float r2 = dot(d, d);
        if (r2 >= uMirror.y) { if (side <= 0.0) break; continue; }
        float k = uMirror.y / r2;
        z = vec2(uMirror.x, 0.0) + d * k;
        scale *= k;
        flips += 1.0;
    }
    // Distances to the three walls, in screen units (the folding's magnification undone).
    float local = 2.0 / (1.0 - min(dot(z, z), 0.999));
    float toArc = (length(z - vec2(uMirror.x, 0.0)) - sqrt(uMirror.y)) * local;
    float toBase = z.y * local;
    float toWall = -dot(z, wall) * local;
    // Morph: the lit edges move from the tiling to its dual, through the curved figure between.
    float between = abs(length(z) - 0.55 * (uMirror.x - sqrt(uMirror.y))) * local;
    float edge = uMorph < 0.5 ? mix(toArc, min(toArc, between), smooth01(uMorph * 2.0)) : mix(min(toArc, between), min(toWall, between), smooth01(uMorph * 2.0 - 1.0));

    float span = log((1.0 + r0) / (1.0 - r0 + 1e-4));   // hyperbolic distance from the centre
    float pixel = 3.3 / (uSize.y * uZoom) / rim;
    float fade = 1.0 / (1.0 + 5.0 * pixel);
    float run = fract(span * 0.22 - uBeats * 0.5);
    float wave = exp(-4.5 * run);
    float hue = 0.10 * span + 0.13 * mod(flips, 2.0) + uDice[1].x;
    float width = mix(0.026, 0.010, uDetail) + 0.5 * pixel;
    float line = filament(edge, width) * fade;
    float thin = filament(min(toBase, toWall), 0.4 * width + pixel) * fade;
    // Gems sit where the mirrors of a tile meet; facets are the tiles' faint stained glass.
    float core = length(z) * local;
    float gem = filament(core, 0.05 + 0.03 * uKick) * fade;
    float facet = smooth01(0.5 + 0.5 * sin(toBase * 3.0 + toArc * 2.5 + t * 2.5 + PI * mod(flips, 2.0)));
    // Towards the rim, where tiles are smaller than pixels, the plane sinks into the dark.
    // The middle of the disk is the focal point; towards the rim the plane sinks into the dark.
    float depth = exp(-0.42 * span) * smooth01(rim * 3.0) * mix(1.0, 0.3, smoothstep(0.9, 1.1, outside));
    vec2 veil = noise(p * 0.8 + 6.0 * uDice[2].xy);
    float shade = depth * smooth01(0.35 + 1.0 * veil.x);
    vec3 colour = ink(hue, 0.05 + 0.40 * facet) * facet * facet * 0.34 * shade;
    colour += ink(hue + 0.2, 0.66) * line * (0.5 + 4.0 * uGlow) * (0.55 + 2.4 * wave + 0.4 * uKick) * depth;
    colour += ink(hue + 0.25, 0.45) * exp(-13.0 * edge) * 0.2 * (0.2 + 1.2 * wave + 0.2 * uKick) * uGlow * depth;
    colour += ink(hue + 0.35, 0.55) * thin * (0.03 + 0.7 * uDetail) * shade * (0.4 + uLevels.z);
    colour += ink(hue + 0.5, 0.68) * gem * (0.5 + 3.0 * wave + 1.2 * uKick) * depth;
    return colour * (1.0 + 0.4 * uKick);
}

//!include frame.glsl
