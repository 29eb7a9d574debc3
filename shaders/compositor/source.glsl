// The generator's picture as the camera sees it.

uniform sampler2D newest;
in vec2 newest_at;
#ifdef FADE
uniform sampler2D previous;
in vec2 previous_at;
uniform float fade;  // 0 shows the previous frame, 1 the newest
#endif

// Beyond its edges the picture is mirrored, so that zooming out and shaking never show a border.
vec2 mirrored(vec2 at) {
    return 1.0 - abs(at - 2.0 * floor(at * 0.5) - 1.0);
}

vec3 picture_at(sampler2D picture, vec2 at) {
    return decode_srgb(texture(picture, mirrored(at)).rgb);
}

vec3 source() {
    vec3 light = picture_at(newest, newest_at);
#ifdef FADE
    light = mix(picture_at(previous, previous_at), light, fade);
#endif
    return light;
}
