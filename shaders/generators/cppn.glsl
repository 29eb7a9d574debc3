#version 330 core
//!include common.glsl
// A compositional pattern-producing network (K. O. Stanley, 2007): a small fixed network from place to pattern.
// Its weights come from a list of variations chosen by eye; slow latent inputs move it.

uniform mat4 uWeights[14];

vec3 picture(vec2 p) {
    float t = uTravel * 0.22;
    float reach = mix(0.75, 1.7, uDetail);
    vec2 q = p * reach;
    q += mix(0.0, 0.75, uWarp) * sin(q.yx * vec2(1.3, -1.1) + t * vec2(0.7, 0.6) + TAU * uDice[0].xy);
    float r = length(q);
    vec4 place = vec4(q, r, 1.0);
    vec4 latent = vec4(sin(t * 0.71), cos(t * 0.53), sin(t * 0.37 + 2.0), 2.0 * uMorph - 1.0 + 0.5 * uLevels.x);

    vec4 a = sin(uWeights[0] * place + uWeights[1] * latent);
    vec4 b = uWeights[2] * place + uWeights[3] * latent;
    b = exp(-b * b);
    vec4 c = uWeights[4] * a + uWeights[5] * b;
    vec4 d = sin(uWeights[6] * a + uWeights[7] * b);
    c = c * inversesqrt(1.0 + c * c);
    vec4 e = sin(uWeights[8] * c + uWeights[9] * d);
    vec4 f = uWeights[10] * c + uWeights[11] * d;
    f = f * inversesqrt(1.0 + f * f);
    vec4 o = uWeights[12] * e + uWeights[13] * f;

    float value = o.x;
    vec2 slope = vec2(dFdx(value), dFdy(value)) * uSize.y * 0.5;
    float steep = length(slope);
    float count = 2.0 + 3.0 * uDetail;
    float pitch = count * steep * 2.0 / uSize.y + 1e-4;
    float line = filament(abs(fract(value * count + 0.5 * uBeats * 0.0) - 0.5), 1.1 * pitch + 0.01) / (1.0 + 3.0 * pitch);
    float halo = filament(abs(fract(value * count) - 0.5), 0.12) * 0.25;
    float light = smooth01(0.5 + 0.5 * sin(2.2 * o.y + 0.6));
    float dark = smooth01(0.75 + 0.8 * sin(1.7 * o.z) - 0.25 * r / reach);
    float sheen = 0.5 + 0.5 * dot(slope, vec2(0.6, 0.8)) / (1.0 + steep);
    float hue = 0.22 * o.w + 0.12 * value + uDice[1].x;
    float body = dark * light * (0.15 + 0.85 * sheen * sheen);
    vec3 colour = ink(hue, 0.06 + 0.66 * body) * body * 1.5;
    colour += ink(hue + 0.25, 0.75) * (line * (0.8 + 1.5 * uKick) + halo) * dark * (0.3 + 2.0 * uGlow);
    return colour * (1.0 + 0.5 * uKick);
}

//!include frame.glsl
