#version 330 core
//!include common.glsl
// One step of the Gray-Scott reaction (J. E. Pearson, 1993) on a torus; feed and kill drift over place and time, so
// that regions of spots, worms and holes trade places and nothing ever sets.
uniform sampler2D uState;  // r: food, g: culture, b and a: feed and kill here
uniform vec2 uRegime;      // feed, kill at the middle
uniform vec2 uBurst;       // where a kick strikes, 0-1
uniform float uStrike;     // how hard, 0 on most steps
uniform float uPace;       // reaction in one step: the largest that stays stable
uniform float uStir;       // steps of stirring to do now: STIR is set for a frame's first step, the rest just reacts
out vec4 fragColour;

void main() {
    vec2 texel = 1.0 / uSize;
    vec2 uv = gl_FragCoord.xy * texel;
#ifdef STIR
    vec4 clouds = texture(uCloud, uv + uTravel * vec2(0.006, 0.0034));
    uv -= texel * 0.06 * uPace * uStir * uWarp * clouds.zw;
#endif
    vec4 here = texture(uState, uv);
    vec2 near = texture(uState, uv + vec2(texel.x, 0.0)).rg + texture(uState, uv - vec2(texel.x, 0.0)).rg
              + texture(uState, uv + vec2(0.0, texel.y)).rg + texture(uState, uv - vec2(0.0, texel.y)).rg;
#ifdef STIR
    here.ba = uRegime + vec2(0.010, 0.0022) * clouds.xy;
    vec2 away = (fract(uv - uBurst + 0.5) - 0.5) * vec2(uSize.x / uSize.y, 1.0);
    here.g = mix(here.g, 0.45, uStrike * exp(-dot(away, away) * 160.0));
#endif
    vec2 diffusion = near - 4.0 * here.rg;
    float eaten = here.r * here.g * here.g;
    vec2 react = vec2(here.b * (1.0 - here.r) - eaten, eaten - (here.b + here.a) * here.g);
    vec2 next = here.rg + vec2(0.2005, 0.1004) * diffusion + uPace * react;
    fragColour = vec4(clamp(next, 0.0, 1.0), here.ba);
}
