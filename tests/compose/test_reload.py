"""Editing shaders while the show runs."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

from vjengine.compose.compositor import Compositor
from vjengine.resources import resource_dir


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(resource_dir("shaders") / "compositor", tmp_path / "compositor")
    return tmp_path


def wait_for(compositor, condition, seconds=20.0):
    """Poll as the engine does until ``condition`` holds; returns whether any poll said that a program changed."""
    pause, changed = threading.Event(), False
    for _ in range(int(seconds / 0.02)):
        changed |= compositor.poll_reload()
        if condition():
            return changed
        pause.wait(0.02)
    raise AssertionError("the reload did not happen")


def test_broken_edit_keeps_the_picture_names_the_line_and_recovers(ctx, folder, control, frame, pixels):
    compositor = Compositor(ctx, (64, 36), folder)
    picture = frame((200, 100, 50))
    before = pixels(compositor.render(control(0), picture))
    grade = folder / "compositor" / "grade.glsl"
    good = grade.read_text()
    lines = good.splitlines()
    lines[lines.index(next(line for line in lines if "uniform float white;" in line))] = "uniform float whte;"
    grade.write_text("\n".join(lines))
    wait_for(compositor, lambda: compositor.errors)
    (error, *more) = compositor.errors
    assert not more, "one fault is told once, however many programs share the file"
    assert error.file == "compositor/grade.glsl"
    assert lines[error.line - 1].count("white"), "the line is the one the compiler stumbled over"
    assert str(error).startswith(f"compositor/grade.glsl:{error.line}: ")
    after = pixels(compositor.render(control(0), picture))
    assert np.array_equal(before, after)

    grade.write_text(good.replace("return code;", "return code.gbr;"))
    assert wait_for(compositor, lambda: not compositor.errors)
    mended = pixels(compositor.render(control(0), picture))
    assert abs(mended[18, 32, :3].astype(int) - (100, 50, 200)).max() <= 2
    compositor.release()


def test_atomic_replacement_and_missing_file(ctx, folder, control, frame):
    compositor = Compositor(ctx, (64, 36), folder)
    finish = folder / "compositor" / "finish.frag.glsl"
    good = finish.read_text()
    finish.unlink()
    wait_for(compositor, lambda: compositor.errors)
    assert "cannot be read" in str(compositor.errors[0])
    compositor.render(control(0), frame((9, 9, 9)))
    beside = folder / "beside"
    beside.write_text(good + "// touched\n")
    beside.replace(finish)
    assert wait_for(compositor, lambda: not compositor.errors)
    compositor.release()


def test_half_written_file_is_passed_over(ctx, folder):
    """A writer who keeps at it never lets an unfinished text reach the compiler."""
    compositor = Compositor(ctx, (64, 36), folder)
    path = folder / "compositor" / "grade.glsl"
    good, pause = path.read_text(), threading.Event()
    for part in range(1, 25):
        path.write_text(good[: len(good) * part // 25])
        compositor.poll_reload()
        assert compositor.errors == ()
        pause.wait(0.02)
    path.write_text(good + "// done\n")
    assert wait_for(compositor, lambda: compositor._library._stamps[path][1] == len((good + "// done\n").encode()))
    assert compositor.errors == ()
    compositor.release()


def test_broken_from_the_start_still_shows_the_generator(ctx, folder, control, frame, pixels):
    (folder / "compositor" / "common.glsl").write_text("this is not GLSL\n")
    compositor = Compositor(ctx, (64, 36), folder)
    assert compositor.errors
    shown = pixels(compositor.render(control(1), frame((10, 200, 30))))
    assert abs(shown[..., :3].astype(int) - (10, 200, 30)).max() <= 1
    shutil.copy(resource_dir("shaders") / "compositor" / "common.glsl", folder / "compositor" / "common.glsl")
    assert wait_for(compositor, lambda: not compositor.errors)
    compositor.render(control(2), frame((10, 200, 30)))
    compositor.release()


def test_without_hot_reload_files_are_left_alone(ctx, folder):
    compositor = Compositor(ctx, (64, 36), folder, hot_reload=False)
    (folder / "compositor" / "grade.glsl").write_text("broken")
    pause = threading.Event()
    for _ in range(15):
        assert not compositor.poll_reload()
        pause.wait(0.02)
    assert compositor.errors == ()
    compositor.release()
