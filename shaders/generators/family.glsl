#version 330 core
//!include common.glsl
//!include view.glsl
