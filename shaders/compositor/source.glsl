// The generator's picture as the camera sees it.

uniform sampler2D newest;
uniform mat3 newest_from_screen;  // screen uv -> texture uv: camera, aspect and the upside-down rows of an upload
#ifdef FADE
uniform sampler2D previous;
uniform mat3 previous_from_screen;
uniform float fade;  // 0 shows the previous frame, 1 the newest
#endif

// Beyond its edges the picture is mirrored, so that zooming out and shaking never show a border.
vec2 mirrored(vec2 at) {
    return 1.0 - abs(at - 2.0 * floor(at * 0.5) - 1.0);
}

vec3 picture_at(sampler2D picture, mat3 from_screen, vec2 at) {
    return decode_srgb(texture(picture, mirrored((from_screen * vec3(at, 1.0)).xy)).rgb);
}

vec3 source_at(vec2 at) {
    vec3 light = picture_at(newest, newest_from_screen, at);
#ifdef FADE
    light = mix(picture_at(previous, previous_from_screen, at), light, fade);
#endif
    return light;
}
