"""The engine cache: what is found is whole and is what was asked for, whatever happened while it was written."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.cache import (
    CHECKED,
    FOLDER_VARIABLE,
    MANIFEST,
    EngineCache,
    EngineKey,
    default_folder,
    library_version,
)
from vjengine.generate.turbo.plan import FramePlan

PLAN = FramePlan(size=(768, 448), device="cuda:0", precision="float16", loras=1)
KEY = EngineKey.of("tensorrt", "f" * 64, PLAN, "tensorrt-rtx", "1.7.1", "sm89")
FILES = {"unet.engine": b"unet" * 5000, "decoder.engine": b"decoder" * 100}

MAKE_KEY = """
import sys
from pathlib import Path
from vjengine.generate.turbo.accel.cache import EngineCache, EngineKey
from vjengine.generate.turbo.plan import FramePlan
plan = FramePlan(size=(768, 448), device="cuda:0", precision="float16", loras=1)
key = EngineKey.of("tensorrt", "f" * 64, plan, "tensorrt-rtx", "1.7.1", "sm89")
cache = EngineCache(Path(sys.argv[1]))
"""


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", MAKE_KEY + script, *map(str, arguments)]


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_what_was_put_is_found_and_listed(cache: EngineCache) -> None:
    assert cache.find(KEY) is None
    assert not cache.has(KEY)
    folder = cache.put(KEY, FILES, model="sd-turbo")
    assert cache.find(KEY) == folder
    assert cache.has(KEY)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    (entry,) = cache.list()
    assert (entry.key, entry.model, entry.fault) == (KEY, "sd-turbo", "")
    assert entry.size_bytes > sum(map(len, FILES.values()))
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert facts["key"]["target"] == "sm89"
    assert facts["key"]["size"] == [768, 448]


def test_a_built_file_is_moved_not_copied(cache: EngineCache) -> None:
    with cache.staging() as folder:
        built = folder / "anything"
        built.write_bytes(b"engine")
        stored = cache.put(KEY, {"unet.engine": built})
        assert not built.exists()
    assert not folder.exists()
    assert (stored / "unet.engine").read_bytes() == b"engine"
    assert cache.find(KEY) == stored


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "e" * 64}, {"size": (512, 512)}, {"precision": "float32"}, {"tiled": True}, {"loras": 0},
        {"rung": "onnx"}, {"library": "tensorrt"}, {"version": "1.7.2"}, {"target": "sm120"}, {"variant": "fp8"},
        {"format": 99},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_another_value_of_any_fact_is_another_engine(cache: EngineCache, change: dict[str, object]) -> None:
    cache.put(KEY, FILES)
    other = dataclasses.replace(KEY, **change)  # type: ignore[arg-type]
    assert other.digest != KEY.digest
    assert cache.find(other) is None


def test_the_digest_is_the_same_in_another_process() -> None:
    told = subprocess.run(python("print(key.digest)", "x"), capture_output=True, text=True, check=True)
    assert told.stdout.strip() == KEY.digest


def test_a_truncated_file_is_never_found(cache: EngineCache) -> None:
    path = cache.put(KEY, FILES) / "unet.engine"
    path.write_bytes(path.read_bytes()[:-1])
    assert not cache.has(KEY)
    assert cache.find(KEY) is None
    assert "truncated" in cache.fault(KEY)
    assert path.exists(), "finding deletes nothing"


def test_a_changed_byte_is_never_found(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    path = cache.put(KEY, FILES) / "unet.engine"
    path.write_bytes(b"U" + path.read_bytes()[1:])
    os.utime(path, (1.0, 1.0))
    assert cache.find(KEY) is None
    assert "SHA-256" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"files": {}}', b'{"files": {"a": {}}, "key": {"x": 1}}', b"\xff"]
)
def test_a_broken_manifest_is_never_found(cache: EngineCache, content: bytes) -> None:
    (cache.put(KEY, FILES) / MANIFEST).write_bytes(content)
    assert cache.find(KEY) is None
    assert MANIFEST in cache.fault(KEY)
    (entry,) = cache.list()
    assert entry.stale


def test_gigabytes_are_read_once(cache: EngineCache) -> None:
    path = cache.put(KEY, FILES) / "unet.engine"
    times = path.stat()
    path.write_bytes(b"U" + path.read_bytes()[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.find(KEY) is not None, "nothing says that it was touched"
    os.utime(path)
    assert cache.find(KEY) is None
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not cache.has(KEY), "what was found broken stays so"
    assert cache.find(KEY) is None


def test_a_copy_to_another_machine_is_read_whole_once(cache: EngineCache) -> None:
    folder = cache.put(KEY, FILES)
    for path in folder.iterdir():
        os.utime(path, (1000.0, 1000.0))
    (folder / CHECKED).write_bytes(b"no JSON")
    assert cache.find(KEY) == folder
    assert json.loads((folder / CHECKED).read_text(encoding="utf-8"))["unet.engine"] == [20000, 1000 * 10**9]


def test_a_missing_file_is_never_found(cache: EngineCache) -> None:
    (cache.put(KEY, FILES) / "decoder.engine").unlink()
    assert cache.find(KEY) is None
    assert "decoder.engine" in cache.fault(KEY)


def test_an_entry_of_another_key_in_its_place_is_never_found(cache: EngineCache) -> None:
    other = dataclasses.replace(KEY, target="sm120")
    folder = cache.put(other, FILES)
    folder.rename(folder.with_name(f"tensorrt-{KEY.digest}"))
    assert cache.find(KEY) is None
    assert "target sm120, not sm89" in cache.fault(KEY)


def test_a_broken_entry_is_replaced_by_a_new_build(cache: EngineCache) -> None:
    (cache.put(KEY, FILES) / "unet.engine").write_bytes(b"half")
    assert cache.find(KEY) is None
    cache.put(KEY, FILES)
    assert cache.find(KEY) is not None
    assert [path.name for path in cache.folder.iterdir()] == [f"tensorrt-{KEY.digest}"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", MANIFEST])
def test_a_file_cannot_leave_its_entry(cache: EngineCache, name: str) -> None:
    with pytest.raises(ValueError, match="plain names"):
        cache.put(KEY, {name: b"x"})


def test_clean_deletes_what_is_stale_and_nothing_else(cache: EngineCache) -> None:
    version = library_version("numpy")
    current = dataclasses.replace(KEY, library="numpy", version=version)
    cache.put(current, FILES)
    cache.put(dataclasses.replace(current, version="0.1"), FILES)
    cache.put(dataclasses.replace(current, library="no-such-library"), FILES)
    assert len(cache.clean()) == 2
    assert [entry.key for entry in cache.list()] == [current]
    assert len(cache.clean(lambda entry: True)) == 1
    assert cache.list() == ()


def test_finding_keeps_an_entry_fresh(cache: EngineCache) -> None:
    older = dataclasses.replace(KEY, target="sm86")
    for key in (KEY, older):
        os.utime(cache.put(key, FILES) / MANIFEST, (1000.0, 1000.0))
    assert cache.find(KEY) is not None
    assert [entry.key for entry in cache.list()] == [KEY, older]
    assert cache.list()[1].last_used == 1000.0


def test_a_folder_that_is_not_there_is_an_empty_cache(cache: EngineCache) -> None:
    assert cache.list() == ()
    assert cache.clean() == ()
    assert not cache.folder.exists(), "looking makes nothing"


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    cache = EngineCache(tmp_path / "file" / "engines")
    with pytest.raises(GeneratorError, match=FOLDER_VARIABLE):
        cache.put(KEY, FILES)


def test_a_full_disk_says_what_to_do_and_leaves_nothing(cache: EngineCache) -> None:
    pytest.importorskip("resource", reason="file size limits are POSIX's")
    script = """
import resource, signal
from vjengine.errors import GeneratorError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    cache.put(key, {"unet.engine": bytes(50_000), "decoder.engine": bytes(200_000)})
except GeneratorError as error:
    print(error)
"""
    told = subprocess.run(python(script, cache.folder), capture_output=True, text=True, check=True)
    assert "make room there" in told.stdout
    assert list(cache.folder.iterdir()) == []


def test_a_kill_in_the_middle_leaves_no_entry_and_is_swept_away(cache: EngineCache) -> None:
    script = """
with cache.staging() as folder:
    (folder / "unet.engine").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        python(script, cache.folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as builder:
        assert builder.stdout is not None
        left = Path(builder.stdout.readline().strip())
        cache.sweep()
        assert left.is_dir(), "a builder that lives is left alone"
        builder.kill()
        builder.wait()
    assert left.is_dir()
    assert cache.find(KEY) is None
    assert cache.list() == ()
    cache.put(KEY, FILES)
    assert not left.exists()
    assert cache.find(KEY) is not None


def test_two_processes_that_write_the_same_key_leave_one_whole_entry(cache: EngineCache) -> None:
    script = """
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    folder = cache.put(key, {"unet.engine": b"same" * 50_000})
    assert (folder / "unet.engine").stat().st_size == 200_000
    assert cache.find(key) is not None, cache.fault(key)
"""
    writers = [
        subprocess.Popen(python(script, cache.folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in cache.folder.iterdir()] == [f"tensorrt-{KEY.digest}"]


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert default_folder().name == "engines"


def test_the_cache_loads_nothing_heavy() -> None:
    script = "print([m for m in ('torch', 'numpy', 'onnx', 'tensorrt_rtx') if m in sys.modules])"
    told = subprocess.run(python(script, "x"), capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
