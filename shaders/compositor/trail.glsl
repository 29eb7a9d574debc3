// The feedback: the last picture, moved and dimmed, under the new one.
//
// One buffer serves as picture and as trail. Where the trail shows it is dimmed to `trail_seen`, and alpha says so: 1 is
// source, `trail_seen` is trail. Dividing by it before dimming anew keeps the trail's life apart from its visibility.

uniform sampler2D trail;
in vec2 trail_at;
#ifdef HUE
uniform mat3 trail_colour;   // visibility times decay times hue rotation; negative light is only clipped when shown
#else
uniform float trail_gain;    // visibility times decay
#endif
uniform float trail_seen;    // at least DIMMEST
uniform float frame_steps;   // length of this frame in sixtieths of a second
#ifdef DISPLACE
uniform vec2 displace;       // uv moved for a full step of brightness, in this frame
uniform vec2 displace_reach; // uv between the samples of the gradient
#endif

const float DIMMEST = 0.02;

vec3 moved_trail() {
    vec2 from = trail_at;
#ifdef DISPLACE
    float here = brightness(texture(trail, from).rgb);
    float right = brightness(texture(trail, from + vec2(displace_reach.x, 0.0)).rgb);
    float above = brightness(texture(trail, from + vec2(0.0, displace_reach.y)).rgb);
    vec2 slope = vec2(right, above) - here;
    from += clamp(slope, -1.0, 1.0) * displace;
#endif
    vec2 inset = min(from, 1.0 - from);
    float inside = clamp(min(inset.x, inset.y) * 64.0 + 0.5, 0.0, 1.0);
    vec4 old = texture(trail, from);
    float gain = inside / max(old.a, DIMMEST);
#ifdef HUE
    return clean(trail_colour * old.rgb * gain);
#else
    return clean(old.rgb * (trail_gain * gain));
#endif
}

// The brighter of the two wins as a whole colour: sums burn out and channel-wise maxima turn white over time, this does
// neither, because the result always lies between what went in. How fast the trail sinks into a picture of nearly its
// own brightness depends on the length of the frame, so that it is the same at any frame rate.
vec4 over_trail(vec3 light, vec3 old) {
    float ours = brightness(light);
    float theirs = max(brightness(old), 0.0);
    float lead = clamp((theirs - ours) / (0.35 * (theirs + ours) + 1e-4), 0.0, 1.0);
    float kept = lead / (lead + frame_steps * (1.0 - lead) + 1e-6);
    return vec4(mix(light, old, kept), mix(1.0, trail_seen, kept));
}
