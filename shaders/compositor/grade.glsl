// From light to display code: exposure, colour, shoulder, transfer, contrast.

uniform float gain;         // exposure
uniform float white;        // the light that is shown as white: above 1 the shoulder makes room for it
#ifdef GRADE
uniform mat3 colour;        // temperature, hue and saturation in one
uniform float contrast;     // 1 leaves it
uniform float invert;
#endif
#ifdef GAMMA
uniform float gamma;
#endif

// Straight up to the knee, then bent so that `white` lands on 1. With white at 1 it is the identity.
vec3 shoulder(vec3 light) {
    const float knee = 0.5;
    float w = (white - knee) / (1.0 - knee);
    vec3 y = max(light - knee, 0.0) / (1.0 - knee);
    return min(light, knee) + (1.0 - knee) * y * (1.0 + y / (w * w)) / (1.0 + y);
}

vec3 graded(vec3 light) {
#ifdef GRADE
    light = colour * light;
#endif
    vec3 code = encode_srgb(shoulder(max(gain * light, 0.0)));
#ifdef GAMMA
    code = pow(code, vec3(1.0 / gamma));
#endif
#ifdef GRADE
    // Above 1 towards an S that never clips, below towards middle grey.
    vec3 stark = code * code * (3.0 - 2.0 * code);
    code = mix(mix(vec3(0.5), code, min(contrast, 1.0)), stark, max(contrast - 1.0, 0.0));
    code = mix(code, 1.0 - code, invert);
#endif
    return code;
}
