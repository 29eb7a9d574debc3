// Frames a family's picture(): view and fold before it, feedback and dissolve after it.
uniform sampler2D uPrevious;
uniform float uKeep;       // share of brighter light that stays from the last picture
uniform float uDissolve;   // share of the new picture while one scene gives way to another, else 1
uniform float uRescale;    // zoom of the last picture since then, and
uniform vec2 uPush;        // how far its flow reaches, in widths and heights

out vec4 fragColour;

void main() {
    vec3 fresh = picture(place());
    fresh = min(max(fresh, vec3(0.0)), vec3(6.0));
    if (!(fresh.r + fresh.g + fresh.b < 100.0)) fresh = vec3(0.0);   // not a number

    // Trails rise like smoke: the last picture is pushed along a slow flow.
    vec2 flow = sin(3.1 * vScreen.yx + vec2(1.7, -1.3) * vScreen + vFlow.xy);
    vec2 from = (gl_FragCoord.xy / uSize - 0.5) / uRescale - uPush * flow;
    vec2 inside = clamp(250.0 * (0.5 - abs(from)), 0.0, 1.0);
    vec3 before = texture(uPrevious, from + 0.5).rgb * (inside.x * inside.y);

    vec3 colour = fresh + uKeep * max(before - fresh, 0.0);
    fragColour = vec4(mix(before, colour, uDissolve), 1.0);
}
