#version 330 core
//!include common.glsl
//!include place.glsl
//!include tunnel_course.glsl
// A bending tunnel in perspective: panelled walls, glowing seams, and rings of light that run with the beat.

flat in vec2 vHere;       // where the tunnel passes the camera
flat in vec3 vHaze;       // the far sun's light: wide,
flat in vec3 vSun;        // and its core

float reach(vec2 d) {
    // From a round bore to a square one by way of an octagon.
    vec2 a = abs(d);
    float eight = max(max(a.x, a.y), (a.x + a.y) * 0.7071);
    float square = max(a.x, a.y);
    return uMorph < 0.5 ? mix(length(d), eight, uMorph * 2.0) : mix(eight, square, uMorph * 2.0 - 1.0);
}

vec3 picture(vec2 p) {
    float camera = uTravel * 0.95;
    vec2 d = p;
    float z = 1.0;
    for (int i = 0; i < 4; i++) {
        z = min(0.85 / max(reach(d), 1e-3), 40.0);
        d = p - 0.5 * uWarp * (course(camera + z) - vHere) * (z / (z + 6.0));
    }
    float along = camera + z;
    float twist = uDice[1].x < 0.5 ? 0.11 : -0.07;
    float round_ = atan(d.y, d.x) / TAU + twist * along * (0.3 + uWarp);
    float sides = 6.0 + floor(uDice[1].y * 3.0) * 2.0;
    float rows = mix(0.7, 2.0, uDetail);
    vec2 grid = vec2(round_ * sides, along * rows);
    grid.x += 0.5 * step(0.5, uDice[1].z) * mod(floor(grid.y), 2.0);
    vec2 cell = floor(grid);
    vec2 part = abs(grid - cell - 0.5);
    vec4 chance = texture(uNoise, (vec2(mod(cell.x, sides), cell.y) * vec2(3.7, 2.3) + 0.5) / 37.0);

    // Width of one pixel in wall units, for lines that stay clean into the distance.
    float blur = z * z * 2.0 / uSize.y / uZoom;
    float fog = exp(-0.24 * z);
    float seamX = filament(0.5 - part.x, 0.011 + blur * sides * 0.05);
    float seamY = filament(0.5 - part.y, 0.016 + blur * rows);
    float seam = max(seamX * 0.8, seamY) / (1.0 + 6.0 * blur);

    // Panels: most are dark, a few are lit from inside and fall off towards their frames.
    float lit = smooth01(chance.x * 3.2 - 0.30 + 0.5 * uLevels.y);
    float inset = max(part.x, part.y) * 2.0;
    float panel = smooth01(1.15 - inset) * (0.35 + 0.65 * inset * inset) * lit;
    float marble = smooth01(0.45 + 0.8 * cloud(vec2(round_ * 2.0, along * 0.21)).x);

    // Rings: one leaves the camera with every beat and races ahead.
    float row = (cell.y + 0.5) / rows;
    float ring = exp(-8.0 * fract(uBeats - (row - camera) * 0.11)) * exp(-0.07 * z);
    float shade = fog * (0.35 + 0.65 * smooth01((z - 0.8) * 0.7));
    float hue = 0.05 * along + 0.25 * chance.y + uDice[2].x;
    vec3 colour = ink(hue, 0.10 + 0.24 * marble) * marble * shade * 0.22;
    colour += ink(hue + 0.18, 0.52) * panel * shade * (2.2 + 1.6 * uKick);
    colour += ink(hue + 0.32, 0.75) * seam * shade * (0.1 + 1.9 * uGlow) * (1.5 + 3.8 * ring);
    colour += ink(hue + 0.4, 0.58) * ring * shade * (0.15 + 0.5 * uGlow) * (0.03 + 1.6 * panel + 0.22 * smooth01(inset * 2.0 - 1.1));
    // The far end: a small sun in haze.
    float off = reach(d);
    float core = exp(-5.0 * off);
    colour += vHaze * core + vSun * (core * core * core * core * core);
    return colour * (1.0 + 0.35 * uKick);
}

//!include frame.glsl
