// The feedback: the last trail, moved and dimmed, under the new picture.

uniform sampler2D trail;
uniform mat3 trail_from_screen;
uniform mat3 trail_colour;   // decay times hue rotation; rotated light may be negative and is only clipped when shown
uniform float frame_steps;   // length of this frame in sixtieths of a second
#ifdef DISPLACE
uniform vec2 displace;       // uv moved for a full step of brightness, in this frame
uniform vec2 displace_reach; // uv between the samples of the gradient
#endif

vec3 moved_trail(vec2 at) {
    vec2 from = (trail_from_screen * vec3(at, 1.0)).xy;
#ifdef DISPLACE
    float here = brightness(texture(trail, from).rgb);
    float right = brightness(texture(trail, from + vec2(displace_reach.x, 0.0)).rgb);
    float above = brightness(texture(trail, from + vec2(0.0, displace_reach.y)).rgb);
    vec2 slope = vec2(right, above) - here;
    from += clamp(slope, -1.0, 1.0) * displace;
#endif
    vec2 inset = min(from, 1.0 - from);
    float inside = clamp(min(inset.x, inset.y) * 64.0 + 0.5, 0.0, 1.0);
    return clean(trail_colour * texture(trail, from).rgb) * inside;
}

// The brighter of the two wins as a whole colour: sums burn out and channel-wise maxima turn white over time, this does
// neither, because the result always lies between what went in. The relaxation is the same at any frame rate.
vec3 over_trail(vec3 light, vec3 old) {
    float ours = brightness(light);
    float theirs = max(brightness(old), 0.0);
    float lead = clamp((theirs - ours) / (0.35 * (theirs + ours) + 1e-4), 1e-4, 1.0);
    return mix(light, old, theirs > ours ? pow(lead, frame_steps) : 0.0);
}
