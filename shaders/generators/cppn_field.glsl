#version 330 core
//!include common.glsl
//!include place.glsl
// A compositional pattern-producing network (K. O. Stanley, 2007): a small fixed network from place to pattern.
// Its weights come from a list of variations chosen by eye; slow latent inputs move it. Drawn at half size: the
// pattern is smooth, only the lines on it are sharp.
uniform mat4 uWeights[12];
uniform vec4 uBiasA;       // what the latent inputs add to the first layer: one value a frame
uniform vec4 uBiasB;
out vec4 fragColour;       // value, hue, shape, body

void main() {
    vec2 p = place();
    float t = uTravel * 0.14;
    vec2 q = p * mix(0.75, 1.7, uDetail);
    q += mix(0.0, 0.75, uWarp) * sin(q.yx * vec2(1.3, -1.1) + t * vec2(0.7, 0.6) + TAU * uDice[0].xy);
    vec4 here = vec4(q, length(q), 1.0);

    vec4 a = sin(uWeights[0] * here + uBiasA);
    vec4 b = uWeights[1] * here + uBiasB;
    b = 1.0 / (1.0 + b * b * (1.0 + 0.5 * b * b));
    vec4 c = uWeights[2] * a + uWeights[3] * b;
    vec4 d = sin(uWeights[4] * a + uWeights[5] * b);
    c *= inversesqrt(1.0 + c * c);
    vec4 e = sin(uWeights[6] * c + uWeights[7] * d);
    vec4 f = uWeights[8] * c + uWeights[9] * d;
    f *= inversesqrt(1.0 + f * f);
    vec4 o = uWeights[10] * e + uWeights[11] * f;
    // Each network lays its own mask: much of the plane stays dark.
    float shape = smooth01(0.30 + 0.8 * sin(1.4 * o.z + 0.5));
    fragColour = vec4(o.x, 0.20 * o.w + 0.10 * o.x + uDice[1].x, shape, smooth01(0.45 + 0.5 * sin(1.8 * o.y)));
}
