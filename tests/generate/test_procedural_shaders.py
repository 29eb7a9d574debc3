"""Shader files of the procedural generator: includes, and errors that name the author's own line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, ParamValues
from vjengine.errors import ShaderError
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.procedural import ProceduralGenerator
from vjengine.generate.procedural_gl import ShaderSource
from vjengine.resources import resource_dir


@pytest.fixture
def shaders(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resource_dir("shaders") / "generators", tmp_path / "generators"))


def spoil(path: Path, before: str, line: str) -> int:
    """Put ``line`` above the first line that starts with ``before``; return its number."""
    lines = path.read_text().splitlines()
    number = next(i for i, text in enumerate(lines) if text.startswith(before))
    path.write_text("\n".join([*lines[:number], line, *lines[number:]]))
    return number + 1


def opened(shaders: Path, family: str = "fields") -> ProceduralGenerator:
    return ProceduralGenerator(
        GeneratorSpec("procedural", (32, 18), options={"shaders": str(shaders), "family": family})
    )


@pytest.mark.parametrize(
    ("file", "before"),
    [("fields.glsl", "vec3 picture"), ("common.glsl", "float smooth01"), ("frame.glsl", "void main")],
)
def test_a_broken_shader_names_its_own_file_and_line(shaders: Path, file: str, before: str) -> None:
    line = spoil(shaders / file, before, "float broken = nothing;")
    with pytest.raises(ShaderError) as caught:
        opened(shaders)
    assert Path(caught.value.file).name == file
    assert caught.value.line == line
    assert "nothing" in caught.value.detail


def test_a_broken_vertex_shader_is_named(shaders: Path) -> None:
    line = spoil(shaders / "particles_points.glsl", "void main", "broken;")
    with pytest.raises(ShaderError) as caught:
        opened(shaders, "particles")
    assert Path(caught.value.file).name == "particles_points.glsl"
    assert caught.value.line == line


def test_a_missing_include_names_the_line_that_asks(shaders: Path) -> None:
    line = spoil(shaders / "tunnel.glsl", "float reach", "//!include nowhere.glsl")
    with pytest.raises(ShaderError, match=r"nowhere\.glsl") as caught:
        opened(shaders, "tunnel")
    assert Path(caught.value.file).name == "tunnel.glsl"
    assert caught.value.line == line


def test_a_broken_family_leaves_the_others_working(shaders: Path) -> None:
    spoil(shaders / "tunnel.glsl", "float reach", "broken;")
    made = opened(shaders)
    with pytest.raises(ShaderError):
        made.generate(GeneratorParams(values=ParamValues.of({"gen.family": FAMILIES.index("tunnel")})))
    assert made.generate(GeneratorParams()).any()
    made.close()


def test_an_include_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.glsl").write_text("one\n//!include b.glsl\n//!include b.glsl\ntwo\n")
    (tmp_path / "b.glsl").write_text("//!include a.glsl\ninner\n")
    assert ShaderSource(tmp_path / "a.glsl").text == "one\ninner\ntwo\n"


@pytest.mark.parametrize(
    "message", ["0:3(3): error: no x", "0(3) : error C1: no x", "ERROR: 0:3: no x", "junk\n===\n0:3(1): error: no x"]
)
def test_the_messages_of_all_drivers_are_understood(tmp_path: Path, message: str) -> None:
    (tmp_path / "a.glsl").write_text("first\n//!include b.glsl\n")
    (tmp_path / "b.glsl").write_text("second\nthird\n")
    error = ShaderSource(tmp_path / "a.glsl").error(message)
    assert (Path(error.file).name, error.line, error.detail) == ("b.glsl", 2, "no x")


def test_a_message_without_a_line_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.glsl").write_text("first\n")
    error = ShaderSource(tmp_path / "a.glsl").error("GLSL Linker failed\n\nLinker\n======\nerror: no main\n")
    assert (Path(error.file).name, error.line) == ("a.glsl", 0)
    assert "no main" in error.detail
