// What every family of the procedural generator shares: the performer's values, the music, the palette, noise.
// Coordinates: p is centred, y runs from -1 to 1 at zoom 1, x as far as the aspect reaches. Colour is linear light.

uniform vec2 uSize;        // target, px
uniform float uTravel;     // motion so far, s at pace 1 (wraps after more than an hour)
uniform float uTurn;       // rotation so far, rad
uniform float uZoom;
uniform float uWarp;
uniform float uDetail;
uniform float uMorph;
uniform float uSymmetry;   // sectors
uniform float uGlow;
uniform float uKick;       // 0-1: gen.pulse and the low hits
uniform float uHue;        // turns
uniform float uSpread;
uniform vec3 uLevels;      // low, middle, high bands, 0-1
uniform vec3 uHits;        // their transients, 0-1
uniform float uBeats;      // position in beats, modulo 64; the travel's own pulse while no beat is known
uniform vec4 uDice[4];     // this variation's numbers, 0-1
uniform sampler2D uPalette;
uniform sampler2D uNoise;  // one octave, 16 cells a tile, four independent channels
uniform sampler2D uCloud;  // five octaves, 4 cells a tile

const float PI = 3.14159265;
const float TAU = 6.28318531;

mat2 turn(float a) {
    float c = cos(a), s = sin(a);
    return mat2(c, s, -s, c);
}

// The palette: hue in turns around its inks (scaled by gen.spread, moved by gen.hue), light from black to hot.
vec3 ink(float hue, float light) {
    return texture(uPalette, vec2(uHue + hue * (0.06 + 1.7 * uSpread), clamp(light, 0.008, 0.992))).rgb;
}

// Light of a line at distance d: a thin core inside a soft fall-off, both of about unit height.
float filament(float d, float width) {
    float x = abs(d) / width;
    return 1.0 / (1.0 + x * x * (1.0 + 0.35 * x));
}

float smooth01(float x) {
    x = clamp(x, 0.0, 1.0);
    return x * x * (3.0 - 2.0 * x);
}
