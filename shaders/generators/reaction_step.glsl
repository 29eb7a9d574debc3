#version 330 core
//!include common.glsl
// One step of the Gray-Scott reaction (J. E. Pearson, 1993) on a torus; feed and kill drift over place and time, so
// that regions of spots, worms and holes trade places and nothing ever sets.
uniform sampler2D uState;  // r: food, g: culture
uniform vec2 uRegime;      // feed, kill at the middle
uniform vec2 uBurst;       // where a kick strikes, 0-1
uniform float uStrike;     // how hard, 0 on most steps
out vec4 fragColour;

void main() {
    vec2 texel = 1.0 / uSize;
    vec2 uv = gl_FragCoord.xy * texel;
    vec4 clouds = texture(uCloud, uv + uTravel * vec2(0.006, 0.0034));
    // A slow stir carries the culture along.
    uv -= texel * 0.10 * uWarp * clouds.zw;
    vec2 here = texture(uState, uv).rg;
    vec2 e = texel * 1.0;
    vec2 near = texture(uState, uv + vec2(e.x, 0.0)).rg + texture(uState, uv - vec2(e.x, 0.0)).rg
              + texture(uState, uv + vec2(0.0, e.y)).rg + texture(uState, uv - vec2(0.0, e.y)).rg;
    vec2 diffusion = near - 4.0 * here;
    float feed = uRegime.x + 0.010 * clouds.x;
    float kill = uRegime.y + 0.0022 * clouds.y;
    float eaten = here.r * here.g * here.g;
    vec2 next = here + vec2(0.2097 * diffusion.r - eaten + feed * (1.0 - here.r),
                            0.105 * diffusion.g + eaten - (feed + kill) * here.g);
    vec2 away = (fract(uv - uBurst + 0.5) - 0.5) * vec2(uSize.x / uSize.y, 1.0);
    float struck = uStrike * exp(-dot(away, away) * 160.0);
    next.g = mix(next.g, 0.45, struck);
    fragColour = vec4(clamp(next, 0.0, 1.0), 0.0, 1.0);
}
