"""``vjengine models``: what a performer types, in a process of its own where it matters."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vjengine.cli.main import main

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def load_hub_server() -> Any:
    path = Path(__file__).resolve().parents[1] / "hub_server.py"
    spec = importlib.util.spec_from_file_location("hub_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module
    spec.loader.exec_module(module)
    return module


SERVER = load_hub_server()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("huggingface_hub")
    from vjengine.generate.turbo.catalogue import CATALOGUE

    taesd = CATALOGUE["taesd"].model
    hub = SERVER.LocalHub({"owner/model": SERVER.pipeline_files(), taesd.id: SERVER.PART_FILES})
    hub.commits[taesd.id] = taesd.revision
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("VJENGINE_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield hub
    hub.close()


def test_pull_path_verify_list(hub: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "owner/model"]) == 0
    out, err = capsys.readouterr()
    assert "to get" in err
    assert "free in" in err
    assert "owner/model is here, whole" in out
    assert main(["models", "path", "owner/model"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / UNET).is_file()
    assert main(["models", "verify"]) == 0
    assert "owner/model: whole" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["folder"] == str(tmp_path / "models")
    rows = {row["name"]: row for row in data["models"]}
    assert rows["owner/model"]["state"] == "complete"
    assert rows["sd-turbo"]["state"] == "missing"
    assert rows["sd-turbo"]["size"] > 2e9
    assert "Stability" in rows["sd-turbo"]["licence"]
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert "sd15-lcm" in shown
    assert "vjengine models pull NAME" in shown
    data = bytearray((folder / UNET).read_bytes())
    data[5] ^= 1
    (folder / UNET).write_bytes(data)
    assert main(["models", "verify", "owner/model"]) == 1
    out, err = capsys.readouterr()
    assert "not those that were pulled" in out
    assert "vjengine models pull owner/model" in err
    assert main(["models", "pull", "owner/model"]) == 0
    assert (folder / UNET).read_bytes() == hub.repos["owner/model"][UNET]


def test_a_dry_run_gets_nothing(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "owner/model", "--dry-run"]) == 0
    assert "to get" in capsys.readouterr().err
    assert all("/api/" in path for _, path, _ in hub.asked)


@pytest.mark.parametrize(
    ("words", "status", "answer"),
    [
        (["pull", "sd-trubo"], 2, "did you mean 'sd-turbo'"),
        (["pull", "random:tiny"], 2, "nothing to pull"),
        (["pull", "owner/unknown"], 1, "the hub has no model owner/unknown"),
        (["pull", "--offline"], 1, "sd-turbo is not here (2.6 GB), and this run is offline"),
        (["path", "sd-turbo"], 1, "vjengine models pull sd-turbo"),
        (["verify", "sd-turbo"], 1, "not on this machine"),
    ],
)
def test_what_cannot_be_is_one_line(
    hub: Any, capsys: pytest.CaptureFixture[str], words: list[str], status: int, answer: str
) -> None:
    assert main(["models", *words]) == status
    err = capsys.readouterr().err.strip()
    assert answer in err
    assert len(err.splitlines()) == 1


def test_nothing_here_yet(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert "nothing is here yet" in capsys.readouterr().out


def wait_for(condition: Callable[[], bool], limit: float = 30.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process is a signal")
def test_ctrl_c_keeps_what_has_arrived_and_says_so(
    hub: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repos["owner/model"][UNET] = data = bytes(range(256)) * 20_000
    hub.stall_after = 3_000_000
    command = [sys.executable, "-m", "vjengine.cli.main", "models", "pull", "owner/model"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))

    def kept() -> int:
        return sum(path.stat().st_size for path in tmp_path.rglob("*.fp16.safetensors.part"))

    wait_for(lambda: kept() > 2_000_000)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "`vjengine models pull owner/model` goes on from there" in err
    assert "Traceback" not in err
    size = kept()
    hub.stall_after = 0
    hub.asked.clear()
    assert main(["models", "pull", "owner/model"]) == 0
    assert f"bytes={size}-" in [wanted for _, _, wanted in hub.asked]
    assert main(["models", "path", "owner/model"]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert (folder / UNET).read_bytes() == data


def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vjengine.cli.main import main\n"
        "try:\n    main(['models', '--help'])\nexcept SystemExit:\n    pass\n"
        "main(['models', 'list'])\n"
        "assert not {'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "vjengine models pull owner/name@1a2b3c4" in done.stdout
