#version 330 core
// One instance is one quad of the HUD: a glyph, a filled or outlined rounded rectangle. Pixels count from the top left.
uniform vec2 size;          // of the target, px

in vec4 in_rect;            // x, y, width, height, px
in vec2 in_texel;           // top left of the glyph in the atlas, px
in vec4 in_colour;          // straight alpha
in vec2 in_shape;           // corner radius in px, below 0 for a glyph; width of the outline in px, 0 for filled

flat out vec4 colour;
flat out vec2 shape;
flat out vec2 extent;
out vec2 local;             // px inside the quad
out vec2 texel;

void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
    local = corner * in_rect.zw;
    texel = in_texel + local;
    colour = in_colour;
    shape = in_shape;
    extent = in_rect.zw;
    vec2 place = (in_rect.xy + local) / size;
    gl_Position = vec4(place.x * 2.0 - 1.0, 1.0 - place.y * 2.0, 0.0, 1.0);
}
