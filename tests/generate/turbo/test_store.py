"""Pulling models, with the hub's real client, from a hub on this machine."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import pytest

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.catalogue import CATALOGUE
from vjengine.generate.turbo.hub import choose_files
from vjengine.generate.turbo.store import Progress, PullPlan, Store, told_offline

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def load_hub_server() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "hub_server.py"
    spec = importlib.util.spec_from_file_location("hub_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


SERVER = load_hub_server()


@pytest.fixture
def hub() -> Iterator[Any]:
    hub = SERVER.LocalHub({"owner/model": SERVER.pipeline_files()})
    # What the catalogue pins, at the commits it pins.
    for name, files in (
        ("sd-turbo", SERVER.pipeline_files()),
        ("taesd", SERVER.PART_FILES),
        ("taesdxl", SERVER.PART_FILES),
    ):
        repo = CATALOGUE[name].model
        hub.repos[repo.id], hub.commits[repo.id] = files, repo.revision
    yield hub
    hub.close()


@pytest.fixture
def store(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return Store(tmp_path / "models", offline=False, endpoint=hub.url)


def state(store: Store, name: str) -> str:
    return next((row.state for row in store.models() if row.name == name), "missing")


def fetched(hub: Any) -> list[str]:
    return [path for method, path, _ in hub.asked if "/api/" not in path]


def test_a_pull_brings_what_is_needed_and_nothing_that_can_run_code(store: Store, hub: Any) -> None:
    told: list[PullPlan] = []
    seen: list[Progress] = []
    folder = store.pull("owner/model", seen.append, told=told.append)
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert here == {
        "model_index.json", "unet/config.json", UNET, "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json", "text_encoder/model.fp16.safetensors", "tokenizer/vocab.json",
        "tokenizer/merges.txt", "scheduler/scheduler_config.json",
    }  # fmt: skip
    for name in here:
        assert (folder / name).read_bytes() == hub.repos["owner/model"][name]
    assert not [path for path in fetched(hub) if path.endswith((".bin", ".onnx", ".md"))]
    # The need was told before the first byte, and is what came.
    assert told[0].needed == sum((folder / name).stat().st_size for name in here) + sum(
        map(len, SERVER.PART_FILES.values())
    )
    assert told[0].free > 0
    downloads = [step.done for step in seen if step.stage == "download"]
    assert downloads == sorted(downloads)
    assert seen[-1].stage == "check"
    assert seen[-1].done == seen[-1].total == told[0].total
    lock = store.open("owner/model")
    assert lock.commit == hub.commit("owner/model")
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in lock.files)
    assert lock.parts == ("taesd",)
    assert store.path("owner/model") == folder
    assert state(store, "owner/model") == "complete"


def test_a_name_of_the_catalogue_brings_its_parts_at_the_pinned_commits(store: Store, hub: Any) -> None:
    folder = store.pull("sd-turbo")
    assert folder.parent.name == "stabilityai--sd-turbo"
    assert store.open("sd-turbo").commit == CATALOGUE["sd-turbo"].model.revision
    assert (store.path("taesd") / "diffusion_pytorch_model.safetensors").is_file()
    assert [row.name for row in store.models() if row.state == "complete"] == ["sd-turbo", "taesd"]


def test_a_second_pull_stays_at_the_commit_of_the_first_and_costs_no_network(store: Store, hub: Any) -> None:
    first = store.pull("owner/model")
    commit = hub.commit("owner/model")
    hub.repos["owner/model"]["unet/config.json"] = b'{"new": 1}'
    hub.asked.clear()
    assert store.pull("owner/model") == first
    assert not hub.asked
    updated = store.pull("owner/model", update=True)
    assert updated != first
    assert store.open("owner/model").commit == hub.commit("owner/model") != commit
    assert (updated / "unet/config.json").read_bytes() == b'{"new": 1}'


class Enough(Exception):
    """The performer's Ctrl-C, at a moment of the test's choosing."""


def test_an_interrupted_pull_goes_on_where_it_stopped(store: Store, hub: Any) -> None:
    hub.repos["owner/model"][UNET] = data = bytes(3_000_000) + b"end"

    def stop(step: Progress) -> None:
        if step.file == UNET and step.done > 1_000_000:
            raise Enough

    with pytest.raises(Enough):
        store.pull("owner/model", stop)
    assert state(store, "owner/model") == "partial"
    with pytest.raises(GeneratorError, match=r"(is not whole; go on|mend it) with: vjengine models pull owner/model"):
        store.path("owner/model")
    part = next(store.folder.rglob("*.part"))
    kept = part.stat().st_size
    assert 0 < kept < len(data)
    hub.asked.clear()
    folder = store.pull("owner/model")
    assert (folder / UNET).read_bytes() == data
    assert ("GET", f"/owner/model/resolve/{hub.commit('owner/model')}/{UNET}", f"bytes={kept}-") in hub.asked
    assert not list(store.folder.rglob("*.part"))


def test_a_server_that_knows_no_parts_sends_it_all_again(store: Store, hub: Any) -> None:
    hub.repos["owner/model"][UNET] = data = bytes(range(250)) * 4000
    hub.cut, hub.cuts, hub.ranges = 600_000, 1, False
    seen: list[Progress] = []
    assert (store.pull("owner/model", seen.append) / UNET).read_bytes() == data
    assert max(step.done for step in seen) == seen[-1].total


def test_a_connection_that_breaks_is_taken_up_again(store: Store, hub: Any) -> None:
    hub.repos["owner/model"][UNET] = data = bytes(range(250)) * 4000
    hub.cut, hub.cuts = 600_000, 1
    assert (store.pull("owner/model") / UNET).read_bytes() == data
    assert [wanted for _, path, wanted in hub.asked if path.endswith(UNET) and wanted]


def test_a_disk_too_small_is_told_before_the_first_byte(store: Store, hub: Any) -> None:
    hub.sizes[UNET] = 10**16
    with pytest.raises(GeneratorError, match=r"needs 10000000\.0 GB more, and .* free in .*VJENGINE_MODELS"):
        store.pull("owner/model")
    assert not fetched(hub)
    assert state(store, "owner/model") == "missing"


def test_offline_says_so_and_asks_nobody(store: Store, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    offline = Store(store.folder, offline=True, endpoint=hub.url)
    with pytest.raises(GeneratorError, match=r"owner/model is not here, and this run is offline"):
        offline.pull("owner/model")
    with pytest.raises(GeneratorError, match=r"sd-turbo is not here \(2\.6 GB\), and this run is offline"):
        offline.pull("sd-turbo")
    assert not hub.asked
    folder = store.pull("owner/model")
    hub.asked.clear()
    assert offline.pull("owner/model") == folder
    assert not hub.asked
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert told_offline()
    assert Store(store.folder).offline


def test_damage_on_the_way_is_noticed_and_mended(store: Store, hub: Any) -> None:
    hub.spoil, hub.spoils = UNET, 1
    folder = store.pull("owner/model")
    assert (folder / UNET).read_bytes() == hub.repos["owner/model"][UNET]
    hub.spoils = 9
    with pytest.raises(GeneratorError, match="damaged from the hub, twice"):
        Store(store.folder / "other", endpoint=hub.url, offline=False).pull(f"owner/model/{UNET}")


def test_a_small_file_is_checked_by_gits_own_name_for_it(store: Store, hub: Any) -> None:
    hub.spoil, hub.spoils = "scheduler/scheduler_config.json", 9
    with pytest.raises(GeneratorError, match=r"scheduler_config.json came damaged"):
        store.pull("owner/model")


def test_a_file_of_another_size_is_refused_and_mended_by_a_pull(store: Store, hub: Any) -> None:
    folder = store.pull("owner/model")
    (folder / UNET).write_bytes(b"short")
    with pytest.raises(
        GeneratorError, match=r"fp16.safetensors has 5 bytes, not \d+; mend it with: vjengine models pull"
    ):
        store.path("owner/model")
    assert state(store, "owner/model") == "partial"
    store.pull("owner/model")
    assert (folder / UNET).read_bytes() == hub.repos["owner/model"][UNET]


def test_verify_reads_every_byte(store: Store, hub: Any) -> None:
    folder = store.pull("owner/model")
    assert store.verify("owner/model") == []
    data = bytearray((folder / UNET).read_bytes())
    data[77] ^= 1
    (folder / UNET).write_bytes(data)
    store.path("owner/model")  # sizes alone do not tell
    assert store.verify("owner/model") == [f"{folder / UNET}: its bytes are not those that were pulled"]
    with pytest.raises(GeneratorError, match="not whole"):
        store.path("owner/model")
    store.pull("owner/model")
    assert (folder / UNET).read_bytes() == hub.repos["owner/model"][UNET]
    (folder / UNET).unlink()
    assert "missing" in store.verify("owner/model")[0]
    with pytest.raises(GeneratorError, match="not on this machine"):
        store.verify("owner/unknown")


def test_a_lone_file_is_its_own_place(store: Store, hub: Any) -> None:
    hub.repos["owner/lora"] = {"README.md": b"", "pytorch_lora_weights.safetensors": b"x" * 2000, "old.bin": b""}
    path = store.pull("owner/lora")
    assert path.name == "pytorch_lora_weights.safetensors"
    assert store.path("owner/lora") == path
    picked = store.pull("owner/model@main/unet/diffusion_pytorch_model.safetensors")
    assert picked.read_bytes() == hub.repos["owner/model"]["unet/diffusion_pytorch_model.safetensors"]


def test_sdxl_brings_its_own_small_autoencoder(store: Store, hub: Any) -> None:
    hub.repos["owner/xl"] = SERVER.pipeline_files(sdxl=True)
    store.pull("owner/xl")
    assert store.open("owner/xl").parts == ("taesdxl",)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("owner/unknown", "the hub has no model owner/unknown"),
        ("owner/model@nowhere", "has no revision 'nowhere'"),
        ("owner/gated", "accept its licence"),
        ("owner/pickles", "reads no pickles"),
        ("owner/many", "say which, as owner/many/FILE"),
        ("owner/model/none.safetensors", "has no none.safetensors"),
    ],
)
def test_what_cannot_be_pulled_is_explained(store: Store, hub: Any, name: str, answer: str) -> None:
    hub.gated.add("owner/gated")
    hub.repos["owner/pickles"] = {"model_index.json": b"{}", "unet/diffusion_pytorch_model.bin": b""}
    hub.repos["owner/many"] = {"a.safetensors": b"", "b.safetensors": b""}
    with pytest.raises(GeneratorError, match=re.escape(answer)):
        store.pull(name)
    assert not fetched(hub)


def test_nothing_to_pull(store: Store, tmp_path: Path) -> None:
    for name in ("random:tiny", str(tmp_path)):
        with pytest.raises(UsageError, match="nothing to pull"):
            store.pull(name)


def test_a_hub_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path, offline=False, endpoint="http://127.0.0.1:9")
    with pytest.raises(GeneratorError, match=r"transfer from owner/model stopped: .*goes on from there"):
        store.pull("owner/model")


def test_two_pulls_at_once_do_not_write_over_each_other(store: Store) -> None:
    store.folder.mkdir(exist_ok=True)
    with filelock.FileLock(store.folder / ".pull.lock"), pytest.raises(GeneratorError, match="another pull"):
        store.pull("owner/model")


def test_paths_that_lead_out_of_the_folder_are_never_taken(store: Store, hub: Any) -> None:
    assert choose_files("r", ["../../evil.safetensors", "/abs.safetensors", "C:\\x.safetensors", "ok.safetensors"]) == (
        "ok.safetensors",
    )
    store.pull("owner/model")
    path = next((store.folder / "locks").glob("owner--model.json"))
    data = json.loads(path.read_text())
    data["files"] = {"../../../evil.json": {"size": 1, "sha256": "", "git_sha1": ""}}
    path.write_text(json.dumps(data))
    assert store.locks.read("owner/model") is None
    path.write_text("{")
    assert store.locks.read("owner/model") is None
    assert state(store, "owner/model") == "missing"


def test_sharded_weights_come_with_their_index() -> None:
    names = [
        "model_index.json", "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        "unet/diffusion_pytorch_model.safetensors.index.json", "unet/config.json",
    ]  # fmt: skip
    assert set(choose_files("r", names)) == set(names)
