#version 330 core
//!include common.glsl
#define TRAIL_FADE 2.5
// A compositional pattern-producing network (K. O. Stanley, 2007): a small fixed network from place to pattern.
// Its weights come from a list of variations chosen by eye; slow latent inputs move it.

uniform mat4 uWeights[12];
uniform vec4 uBiasA;       // what the latent inputs add to the first layer: one value a frame
uniform vec4 uBiasB;

vec3 picture(vec2 p) {
    float t = uTravel * 0.14;
    float reach = mix(0.75, 1.7, uDetail);
    vec2 q = p * reach;
    q += mix(0.0, 0.75, uWarp) * sin(q.yx * vec2(1.3, -1.1) + t * vec2(0.7, 0.6) + TAU * uDice[0].xy);
    vec4 place = vec4(q, length(q), 1.0);

    vec4 a = sin(uWeights[0] * place + uBiasA);
    vec4 b = uWeights[1] * place + uBiasB;
    b = 1.0 / (1.0 + b * b * (1.0 + 0.5 * b * b));
    vec4 c = uWeights[2] * a + uWeights[3] * b;
    vec4 d = sin(uWeights[4] * a + uWeights[5] * b);
    c *= inversesqrt(1.0 + c * c);
    vec4 e = sin(uWeights[6] * c + uWeights[7] * d);
    vec4 f = uWeights[8] * c + uWeights[9] * d;
    f *= inversesqrt(1.0 + f * f);
    vec4 o = uWeights[10] * e + uWeights[11] * f;

    float value = o.x;
    vec2 slope = vec2(dFdx(value), dFdy(value)) * uSize.y * 0.5;
    float steep = length(slope);
    // Glow lines on the contours, as thin on screen wherever they run; crowded ones fade.
    float count = 1.0 + 2.0 * uDetail;
    float slant = max(steep, 0.4);
    float apart = abs(fract(value * count + 0.25) - 0.5) / (count * slant);
    float crowd = count * steep * 2.0 / uSize.y;
    float line = filament(apart, 0.007 + 1.3 / uSize.y) / (1.0 + 8.0 * crowd);
    float halo = filament(apart, 0.055);
    // Each network lays its own mask: much of the plane stays dark, and shapes are lit from one side.
    float shape = smooth01(0.30 + 0.8 * sin(1.4 * o.z + 0.5));
    float focus = smooth01(1.25 - 0.42 * length(p));
    float sheen = 0.5 + 0.5 * dot(slope, vec2(0.6, 0.8)) / (0.6 + steep);
    float body = shape * sheen * sheen * smooth01(0.45 + 0.5 * sin(1.8 * o.y));
    float hue = 0.20 * o.w + 0.10 * value + uDice[1].x;
    vec3 colour = ink(hue, 0.05 + 0.50 * body) * body * 1.1;
    float lit = (0.12 + 0.88 * shape) * focus;
    colour += ink(hue + 0.25, 0.64) * line * lit * (0.3 + 4.6 * uGlow) * (0.8 + 1.5 * uKick);
    colour += ink(hue + 0.2, 0.45) * halo * lit * lit * 0.30 * uGlow * (0.7 + uKick);
    return colour * focus * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
