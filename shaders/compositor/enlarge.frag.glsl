// A picture at another size, as it is.

uniform sampler2D picture;

in vec2 uv;
out vec4 same;

void main() {
    same = texture(picture, uv);
}
