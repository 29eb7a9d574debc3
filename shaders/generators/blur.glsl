#version 330 core
// A Gaussian of nine texels in five bilinear looks, along one axis.
uniform sampler2D uImage;
uniform vec2 uSize;        // of the target, px
uniform vec2 uStep;        // one tap, in widths and heights of the image
out vec4 fragColour;

void main() {
    vec2 uv = gl_FragCoord.xy / uSize;
    vec3 sum = 0.227 * texture(uImage, uv).rgb;
    sum += 0.316 * (texture(uImage, uv + 1.385 * uStep).rgb + texture(uImage, uv - 1.385 * uStep).rgb);
    sum += 0.070 * (texture(uImage, uv + 3.23 * uStep).rgb + texture(uImage, uv - 3.23 * uStep).rgb);
    fragColour = vec4(sum, 1.0);
}
