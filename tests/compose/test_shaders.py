"""Shader files: includes, errors at the author's own line, variants."""

from __future__ import annotations

import moderngl
import pytest

from vjengine.compose.passes import Variants
from vjengine.compose.shaders import ShaderLibrary, assemble, explain
from vjengine.core.correction import NO_CORRECTION
from vjengine.errors import ShaderError
from vjengine.resources import resource_dir

VERTEX = "void main() { gl_Position = vec4(float(gl_VertexID), 0.0, 0.0, 1.0); }\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.vert.glsl").write_text(VERTEX)
    return tmp_path


def compile_error(ctx, folder, fragment="a.frag.glsl"):
    library = ShaderLibrary(ctx, folder)
    shader = library.shader(fragment, vertex="a.vert.glsl")
    assert shader.program is None
    (error,) = library.errors
    return error


def test_error_names_line_of_file_itself(ctx, folder):
    (folder / "a.frag.glsl").write_text("out vec4 c;\nvoid main() {\n    c = nonsense;\n}\n")
    error = compile_error(ctx, folder)
    assert (error.file, error.line) == ("a.frag.glsl", 3)
    assert "nonsense" in error.detail


def test_error_names_line_of_included_file(ctx, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "b.glsl").write_text("// one\n// two\nfloat f() { return wrong; }\n")
    (folder / "a.frag.glsl").write_text('#include "sub/b.glsl"\nout vec4 c;\nvoid main() { c = vec4(f()); }\n')
    error = compile_error(ctx, folder)
    assert (error.file, error.line) == ("sub/b.glsl", 3)


def test_error_after_an_include_keeps_the_outer_line(ctx, folder):
    (folder / "b.glsl").write_text("float f() { return 1.0; }\n")
    (folder / "a.frag.glsl").write_text('// one\n#include "b.glsl"\nout vec4 c;\nvoid main() { c = late; }\n')
    error = compile_error(ctx, folder)
    assert (error.file, error.line) == ("a.frag.glsl", 4)


def test_error_in_vertex_shader_is_told_apart(ctx, folder):
    (folder / "a.vert.glsl").write_text("\nvoid main() { gl_Position = odd; }\n")
    (folder / "a.frag.glsl").write_text("out vec4 c;\nvoid main() { c = vec4(1.0); }\n")
    error = compile_error(ctx, folder)
    assert (error.file, error.line) == ("a.vert.glsl", 2)


def test_own_version_line_is_tolerated_and_counted(ctx, folder):
    (folder / "a.frag.glsl").write_text("#version 120\nout vec4 c;\nvoid main() { c = bad; }\n")
    assert compile_error(ctx, folder).line == 3


@pytest.mark.parametrize(
    "message",
    [
        "GLSL Compiler failed\n\nfragment_shader\n====\n0:3(3): error: `x' undeclared\n",
        "GLSL Compiler failed\n\nfragment_shader\n====\nERROR: 0:3: 'x' : undeclared identifier\n",
        'GLSL Compiler failed\n\nfragment_shader\n====\n0(3) : error C1503: undefined variable "x"\n',
    ],
    ids=["mesa", "amd", "nvidia"],
)
def test_messages_of_all_drivers_are_read(folder, message):
    (folder / "b.glsl").write_text("float y;\nfloat f() { return x; }\n")
    (folder / "a.frag.glsl").write_text('#include "b.glsl"\n')
    text = assemble(folder, "a.frag.glsl")
    error = explain(moderngl.Error(message), folder, assemble(folder, "a.vert.glsl"), text)
    assert (error.file, error.line) == ("b.glsl", 2)
    assert "x" in error.detail


def test_cycle_is_named_at_its_include(folder):
    (folder / "a.frag.glsl").write_text('#include "b.glsl"\n')
    (folder / "b.glsl").write_text('\n#include "a.frag.glsl"\n')
    with pytest.raises(ShaderError, match="includes itself") as caught:
        assemble(folder, "a.frag.glsl")
    assert (caught.value.file, caught.value.line) == ("b.glsl", 2)


def test_missing_include_and_missing_file(folder):
    (folder / "a.frag.glsl").write_text('//\n//\n#include "gone.glsl"\n')
    with pytest.raises(ShaderError, match="does not exist") as caught:
        assemble(folder, "a.frag.glsl")
    assert caught.value.line == 3
    with pytest.raises(ShaderError, match="cannot be read"):
        assemble(folder, "nowhere.glsl")


def test_binary_rubbish_is_an_error_not_a_crash(ctx, folder):
    (folder / "a.frag.glsl").write_bytes(bytes(range(256)))
    assert "UTF-8" in compile_error(ctx, folder).detail


def test_a_file_included_twice_is_put_in_once(ctx, folder):
    (folder / "b.glsl").write_text("float f() { return 1.0; }\n")
    (folder / "c.glsl").write_text('#include "b.glsl"\nfloat g() { return f(); }\n')
    (folder / "a.frag.glsl").write_text(
        '#include "b.glsl"\n#include "c.glsl"\nout vec4 c;\nvoid main() { c = vec4(g()); }\n'
    )
    library = ShaderLibrary(ctx, folder)
    assert library.shader("a.frag.glsl", vertex="a.vert.glsl").program is not None
    library.release()


def test_every_shipped_compositor_shader_is_reachable_and_sound(ctx):
    from vjengine.compose.compositor import Compositor
    from vjengine.compose.glance import Glance

    class Watch:
        def look(self, pixels, control):
            """Nothing is drawn here."""

        def correction(self):
            return NO_CORRECTION

    compositor = Compositor(ctx, (32, 18), resource_dir("shaders"), watch=Watch())
    assert compositor.errors == ()
    glance = Glance(ctx, (32, 18), 16, resource_dir("shaders"))
    libraries = compositor._library, glance._library
    used = {path for library in libraries for shader in library._shaders for path in shader.files}
    assert used == set((resource_dir("shaders") / "compositor").glob("*.glsl"))
    compositor.release()
    glance.release()


def test_variant_picked_is_the_smallest_that_suffices(ctx, folder):
    (folder / "a.frag.glsl").write_text("out vec4 c;\nvoid main() { c = vec4(1.0); }\n")
    (folder / "compositor").mkdir()
    (folder / "compositor" / "fullscreen.vert.glsl").write_text(VERTEX)
    library = ShaderLibrary(ctx, folder)
    variants = Variants(ctx, library, "a.frag.glsl", ("", "A", "A B", "A B C"))
    assert variants.pick() is not variants.pick("A")
    assert variants.pick("C") is variants.pick("A", "B", "C")
    with pytest.raises(KeyError, match="D"):
        variants.pick("D")
    variants.release()
    library.release()
