import threading
import time
from itertools import pairwise

import moderngl

from vjengine.compose.context import Finisher
from vjengine.compose.passes import unbind

SLOW = """
#version 330
out vec4 colour;
void main() {
    vec3 c = gl_FragCoord.xyz * 0.001;
    for (int i = 0; i < 200; i++) c = sin(c * 1.1 + 0.1);
    colour = vec4(c, 1.0);
}
"""
TRIANGLE = """
#version 330
void main() {
    vec2 p = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    gl_Position = vec4(p * 2.0 - 1.0, 0.0, 1.0);
}
"""


def test_other_threads_run_while_a_picture_is_drawn(ctx: moderngl.Context) -> None:
    program = ctx.program(vertex_shader=TRIANGLE, fragment_shader=SLOW)
    array = ctx.vertex_array(program, [])
    texture = ctx.texture((640, 360), 4)
    target = ctx.framebuffer([texture])
    target.use()
    finish = Finisher(ctx)
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    finish()
    begun = time.perf_counter()
    array.render(moderngl.TRIANGLES, vertices=3)
    finish()
    ended = time.perf_counter()
    done.set()
    thread.join()
    during = [moment for moment in ticks if begun < moment < ended]
    # Holding the lock there would be no tick but one on either side of it, however long the drawing took. How many
    # there are otherwise is up to whatever else the machine does.
    gaps = [b - a for a, b in pairwise((begun, *during, ended))]
    assert max(gaps) < 0.8 * (ended - begun)
    unbind(ctx)
    for part in (target, texture, array, program):
        part.release()
