// Source and feedback in one pass, into one target: a second one costs a software renderer more than all the rest.

#include "common.glsl"
#include "source.glsl"
#ifdef FEEDBACK
#include "trail.glsl"
#endif

out vec4 picture;  // linear light; alpha as trail.glsl says

void main() {
    vec3 light = source();
#ifdef FEEDBACK
    picture = over_trail(light, moved_trail());
#else
    picture = vec4(light, 1.0);
#endif
}
