// The programme in small, to be looked at from afar: each result is the mean of TAPS x TAPS pixels spread over its
// cell. Single pixels are read, as filtering them costs a software renderer several times as much.

uniform sampler2D picture;
uniform vec2 cell;  // px of the picture in one result

out vec4 small;

void main() {
    vec2 corner = (gl_FragCoord.xy - 0.5) * cell;
    vec2 apart = cell / float(TAPS);
    vec3 sum = vec3(0.0);
    for (int y = 0; y < TAPS; ++y)
        for (int x = 0; x < TAPS; ++x)
            sum += texelFetch(picture, ivec2(corner + (vec2(x, y) + 0.5) * apart), 0).rgb;
    small = vec4(sum / float(TAPS * TAPS), 1.0);
}
