// The generator's picture as the camera sees it.

uniform sampler2D newest;
in vec2 newest_at;
#ifdef FADE
uniform sampler2D previous;
in vec2 previous_at;
uniform float fade;  // 0 shows the previous frame, 1 the newest
#endif
#ifdef MORPH
uniform sampler2D flow;  // where things went from the previous frame to the newest, seen half way; rows as an upload's
uniform vec2 moved;      // how much of that way to read off, in the previous frame and in the newest
#endif

// Beyond its edges the picture is mirrored, so that zooming out and shaking never show a border.
vec2 mirrored(vec2 at) {
    return 1.0 - abs(at - 2.0 * floor(at * 0.5) - 1.0);
}

vec3 picture_at(sampler2D picture, vec2 at) {
    return decode_srgb(texture(picture, mirrored(at)).rgb);
}

vec3 source() {
    vec2 at = newest_at;
#ifdef MORPH
    at = mirrored(at);
    vec2 way = texture(flow, at).xy;
    at += moved.y * way;
#endif
    vec3 light = picture_at(newest, at);
#ifdef FADE
    at = previous_at;
#ifdef MORPH
    at = mirrored(at) + moved.x * way;
#endif
    light = mix(picture_at(previous, at), light, fade);
#endif
    return light;
}
