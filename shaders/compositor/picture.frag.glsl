// Source and feedback in one pass, so that the source is sampled once.

#include "common.glsl"
#include "source.glsl"
#ifdef FEEDBACK
#include "trail.glsl"
uniform float trail_seen;
layout(location = 1) out vec4 next_trail;
#endif

in vec2 uv;
layout(location = 0) out vec4 picture;

void main() {
    vec3 light = clean(source_at(uv));
#ifdef FEEDBACK
    vec3 kept = over_trail(light, moved_trail(uv));
    next_trail = vec4(kept, 1.0);
    light = mix(light, max(kept, 0.0), trail_seen);
#endif
    picture = vec4(light, 1.0);
}
