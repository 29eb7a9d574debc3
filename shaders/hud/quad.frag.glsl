#version 330 core
uniform sampler2D atlas;

flat in vec4 colour;
flat in vec2 shape;
flat in vec2 extent;
in vec2 local;
in vec2 texel;

out vec4 fragment;          // premultiplied: an opaque target stays opaque

// Signed distance in px from the edge of a rounded rectangle, negative inside.
float edge(vec2 point, vec2 half_size, float radius) {
    vec2 beyond = abs(point - half_size) - half_size + radius;
    return length(max(beyond, 0.0)) + min(max(beyond.x, beyond.y), 0.0) - radius;
}

void main() {
    float cover;
    if (shape.x < 0.0) {
        // Glyphs stand on whole pixels, so the nearest texel is exact and stays crisp.
        cover = texelFetch(atlas, ivec2(texel), 0).r;
    } else {
        vec2 half_size = 0.5 * extent;
        float distance = edge(local, half_size, min(shape.x, min(half_size.x, half_size.y)));
        cover = clamp(0.5 - distance, 0.0, 1.0);
        if (shape.y > 0.0) cover *= clamp(0.5 + distance + shape.y, 0.0, 1.0);
    }
    float alpha = cover * colour.a;
    fragment = vec4(colour.rgb * alpha, alpha);
}
