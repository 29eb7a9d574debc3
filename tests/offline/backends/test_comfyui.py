"""ComfyUI as a continuation, against a server on a real socket that can do all that goes wrong in a venue."""

import importlib.util
import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vjengine.errors import BackendError, OutOfMemory
from vjengine.offline.backends.comfyui import ComfySettings, ComfyUI
from vjengine.offline.backends.wire import Silent
from vjengine.offline.continuation import Ask, Carried, Opening

SIZE = (64, 40)


def load(name: str) -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


SERVER = load("comfy_server")


@pytest.fixture
def comfy() -> Iterator[Any]:
    server = SERVER.LocalComfy()
    yield server
    server.close()


def continuation(server: Any, **changes: Any) -> ComfyUI:
    settings = ComfySettings(server=server.address, frames=3, tries=2, pause=0.01, seconds=20, patience=20, poll=0.1)
    return ComfyUI(replace(settings, **changes))


def begun() -> Carried:
    picture = np.random.default_rng(4).integers(0, 65536, (SIZE[1], SIZE[0], 3), np.uint16)
    return Carried(picture[None], picture)


class Watcher:
    def __init__(self, stop: threading.Event | None = None) -> None:
        self.heard: list[tuple[str, float]] = []
        self.stop = stop

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        self.heard.append((doing, fraction))
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt


ASK = Ask(index=2, frames=3, seed=(1 << 40) + 7, prompt="an ink sea", motion=0.5, guidance=(1.0, 2.5), noise=0.05)


def test_the_last_picture_goes_there_in_16_bits_and_new_ones_come_back(comfy: Any) -> None:
    carried, watcher = begun(), Watcher()
    clip = continuation(comfy).extend(carried, ASK, watcher)
    first = carried.frames[-1] >> 8
    # The server's picture 0 repeats the last one: only what follows it is new.
    assert clip.frames.dtype == np.uint16
    assert [np.abs((f >> 8) - np.roll(first, n, 1)).max() for n, f in enumerate(clip.frames, 1)] == [0, 0, 0]
    (sent,) = comfy.uploads.values()
    assert sent[24] == 16, "bit depth in the PNG's header"
    used = {node["class_type"]: node["inputs"] for node in comfy.prompts[0].values()}
    assert used["KSampler"] | {"seed": 7, "cfg": 2.5} == used["KSampler"]
    assert used["SVD_img2vid_Conditioning"]["video_frames"] == 4
    assert used["SVD_img2vid_Conditioning"]["motion_bucket_id"] == 110
    assert ("ComfyUI draws", 0.5) in watcher.heard


def test_a_first_picture_from_text_has_its_seed(comfy: Any) -> None:
    makes = continuation(comfy)
    carried = makes.open(Opening(prompt="an ink sea", seed=5), SIZE, Silent())
    again = makes.open(Opening(prompt="an ink sea", seed=6), SIZE, Silent())
    assert carried.frames.shape == (1, SIZE[1], SIZE[0], 3)
    assert not np.array_equal(carried.frames, again.frames)
    assert comfy.prompts[0]["2"]["inputs"]["text"] == "an ink sea"


@pytest.mark.parametrize("fault", ["500", "cut", "garbage", "web page", "drop socket"])
def test_what_passes_by_is_tried_again(comfy: Any, fault: str) -> None:
    comfy.faults.append(fault)
    assert len(continuation(comfy).extend(begun(), ASK, Silent()).frames) == 3
    assert not comfy.faults


@pytest.mark.parametrize(
    ("fault", "words", "again"),
    [
        ("error", r"KSampler \(node 5\) failed.*mat1 and mat2", False),
        ("interrupted", "stopped at the ComfyUI server", False),
        ("refuse", r"node 1 \(ImageOnlyCheckpointLoader\): Value not in list", False),
        ("wrong file", "neither picture nor video", False),
        ("size", r"is 64x32, the film 64x40.*width", False),
        ("empty", "has saved no picture", True),
        ("one", "none is left", True),
    ],
)
def test_what_goes_wrong_says_what_and_whether_to_try_again(comfy: Any, fault: str, words: str, again: bool) -> None:
    comfy.faults.append(fault)
    with pytest.raises(BackendError, match=words) as caught:
        continuation(comfy).extend(begun(), ASK, Silent())
    assert caught.value.retry is again


def test_out_of_memory_is_told_apart_and_frees_once(comfy: Any) -> None:
    comfy.faults.append("oom")
    makes = continuation(comfy)
    with pytest.raises(OutOfMemory, match="KSampler"):
        makes.extend(begun(), ASK, Silent())
    assert "unloaded" in makes.lighten()
    assert makes.lighten() == ""
    assert "POST /free" in comfy.asked
    assert len(makes.extend(begun(), ASK, Silent()).frames) == 3


def test_leaving_stops_our_job_there(comfy: Any) -> None:
    comfy.faults.append("hold")
    with pytest.raises(KeyboardInterrupt):
        continuation(comfy).extend(begun(), ASK, Watcher(stop=comfy.held))
    assert comfy.stopped.wait(20)
    assert "POST /interrupt" in comfy.asked


def test_another_ones_job_is_left_alone(comfy: Any) -> None:
    makes = continuation(comfy)
    comfy.running = [[0, "somebody-elses", {}, {}, []]]
    makes._comfy.cancel("ours")
    assert "POST /queue" in comfy.asked
    assert "POST /interrupt" not in comfy.asked


def test_a_server_started_anew_has_lost_the_job(comfy: Any) -> None:
    comfy.faults.append("forget")
    with pytest.raises(BackendError, match="forgotten") as caught:
        # What ends this is two answers, never the time that a busy machine takes for them.
        continuation(comfy, seconds=100, patience=100).extend(begun(), ASK, Silent())
    assert caught.value.retry


def test_a_stuck_job_is_given_up(comfy: Any) -> None:
    comfy.faults.append("hold")
    with pytest.raises(BackendError, match="said nothing"):
        continuation(comfy, patience=0.3).extend(begun(), ASK, Silent())
    assert comfy.stopped.wait(20)


def test_a_server_that_is_down_is_named_with_the_remedy() -> None:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{line.getsockname()[1]}"
    makes = ComfyUI(ComfySettings(server=address, tries=2, pause=0.01))
    with pytest.raises(BackendError, match=r"cannot reach 127.*Is ComfyUI running") as caught:
        makes.extend(begun(), ASK, Silent())
    assert caught.value.retry


def test_the_workflow_is_checked_before_anything_is_queued(comfy: Any) -> None:
    del comfy.nodes["VideoLinearCFGGuidance"]
    comfy.nodes["KSampler"] = comfy.nodes["KSampler"] | {"shift": ["FLOAT", {}]}
    values = {"checkpoint": "svd_tx.safetensors"}
    with pytest.raises(BackendError) as caught:
        continuation(comfy, values=values).extend(begun(), ASK, Silent())
    message = str(caught.value)
    assert "no node 'VideoLinearCFGGuidance'" in message
    assert "needs the input 'shift'" in message
    assert "did you mean 'svd_xt.safetensors'" in message
    assert not comfy.prompts


def test_templates_that_cannot_work_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    for content, words in (
        ({"nodes": [], "links": []}, r"Export \(API\)"),
        ({"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}, "no {{image}}"),
        ({"1": {"class_type": "A", "inputs": {"a": "{{image}}", "b": "{{lora}}"}}}, "{{lora}} has no value"),
        ([], "API format"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(BackendError, match=words.replace("{{", r"\{\{").replace("}}", r"\}\}")):
            ComfyUI(ComfySettings(workflow=path))


def test_what_decides_the_pictures_decides_the_version(tmp_path: Path) -> None:
    plain = ComfyUI(ComfySettings())
    assert plain.version == ComfyUI(ComfySettings(server="http://elsewhere:1")).version
    assert plain.version != ComfyUI(ComfySettings(values={"steps": 9})).version


def test_a_video_is_taken_too(comfy: Any, tmp_path: Path) -> None:
    from vjengine.offline.backends.comfyui import decode
    from vjengine.offline.clips import ClipWriter

    path = tmp_path / "v.mkv"
    writer = ClipWriter(path, SIZE, 12, quality="lossless")
    for level in (10, 200):
        writer.write(np.full((SIZE[1], SIZE[0], 3), level, np.uint8))
    writer.close()
    frames = decode(path.read_bytes(), "v.mkv", ".mkv", SIZE)
    assert [round(frame.mean() / 257) for frame in frames] == [10, 200]
    with pytest.raises(BackendError, match="not a video"):
        decode(b"hello" * 100, "v.mp4", ".mp4", SIZE)


def test_a_bomb_is_not_unpacked() -> None:
    from vjengine.offline.backends.pictures import from_bytes

    data = io.BytesIO()
    Image.new("1", (9000, 8000)).save(data, "png")
    with pytest.raises(BackendError, match=r"too large|not a whole picture"):
        from_bytes(data.getvalue(), "big.png", SIZE)
