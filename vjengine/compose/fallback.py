"""The picture of last resort: shown only when the shader files were broken from the start."""

from __future__ import annotations

import moderngl

from vjengine.compose.passes import Pass
from vjengine.compose.shaders import ShaderLibrary

_VERTEX = """#version 330 core
out vec2 uv;
void main() {
    uv = vec2(gl_VertexID == 1 ? 2.0 : 0.0, gl_VertexID == 2 ? 2.0 : 0.0);
    gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0);
}
"""

_FRAGMENT = """#version 330 core
uniform sampler2D newest;
uniform mat3 newest_from_screen;
uniform float master;
in vec2 uv;
out vec4 programme;
void main() {
    programme = vec4(texture(newest, (newest_from_screen * vec3(uv, 1.0)).xy).rgb * master, 1.0);
}
"""


def plain_pass(ctx: moderngl.Context, library: ShaderLibrary) -> Pass:
    """Return a pass that shows the newest frame as it is, from a shader that needs no file."""
    return Pass(ctx, library.built_in(_VERTEX, _FRAGMENT))
