#version 330 core
// A quarter of the size: four bilinear looks average sixteen texels.
uniform sampler2D uImage;
uniform vec2 uSize;        // of the target, px
uniform vec2 uTexel;       // of the image
out vec4 fragColour;

void main() {
    vec2 uv = gl_FragCoord.xy / uSize;
    vec3 sum = texture(uImage, uv + uTexel * vec2(-1.0, -1.0)).rgb;
    sum += texture(uImage, uv + uTexel * vec2(1.0, -1.0)).rgb;
    sum += texture(uImage, uv + uTexel * vec2(-1.0, 1.0)).rgb;
    sum += texture(uImage, uv + uTexel * vec2(1.0, 1.0)).rgb;
    fragColour = vec4(0.25 * sum, 1.0);
}
