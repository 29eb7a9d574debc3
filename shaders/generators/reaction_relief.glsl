#version 330 core
// The culture's smoothed height and slope, once for each cell of the state.
uniform sampler2D uState;
uniform vec2 uSize;
out vec4 fragColour;       // food, culture, slope

vec2 cell(ivec2 at, int x, int y) {
    ivec2 size = ivec2(uSize);
    return texelFetch(uState, (at + ivec2(x, y) + size) % size, 0).rg;
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec2 a = cell(at, -1, -1), b = cell(at, 0, -1), c = cell(at, 1, -1);
    vec2 d = cell(at, -1, 0), e = cell(at, 0, 0), f = cell(at, 1, 0);
    vec2 g = cell(at, -1, 1), h = cell(at, 0, 1), i = cell(at, 1, 1);
    vec2 smoothed = 0.25 * e + 0.125 * (b + d + f + h) + 0.0625 * (a + c + g + i);
    // Sobel's operator, in heights a cell.
    vec2 slope = vec2(c.g - a.g + i.g - g.g + 2.0 * (f.g - d.g), g.g - a.g + i.g - c.g + 2.0 * (h.g - b.g)) * 0.125;
    fragColour = vec4(smoothed, slope);
}
