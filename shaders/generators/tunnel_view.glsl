#version 330 core
//!include common.glsl
//!include tunnel_course.glsl
#define STILL
flat out vec2 vHere;       // where the tunnel passes the camera
flat out vec3 vHaze;       // the far sun's light: wide,
flat out vec3 vSun;        // and its core

void still() {
    vHere = course(uTravel * 0.95);
    float bright = (0.5 + 1.2 * uKick + 0.5 * uLevels.x) * (0.4 + uGlow);
    vHaze = ink(uDice[2].x + 0.5, 0.55) * 0.42 * bright;
    vSun = ink(uDice[2].x + 0.55, 0.9) * 1.2 * bright;
}

//!include view.glsl
