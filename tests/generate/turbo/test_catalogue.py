"""What a model's name means."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from vjengine.errors import UsageError
from vjengine.generate.turbo.catalogue import CATALOGUE, DEFAULT_MODEL, read_name


def test_every_row_is_pinned_and_complete() -> None:
    assert CATALOGUE[DEFAULT_MODEL].kind == "sd"
    for name, row in CATALOGUE.items():
        assert row.name == name
        assert row.model.revision is not None
        assert re.fullmatch(r"[0-9a-f]{40}", row.model.revision)
        assert row.size > 1_000_000
        assert row.licence
        assert set(row.parts) <= set(CATALOGUE)
        if row.kind is not None:
            assert row.tiny_vae


def test_every_kind_of_name_is_told_from_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    file = tmp_path / "one.safetensors"
    file.touch()
    assert read_name(" sd-turbo ").kind == "catalogue"
    assert read_name("random:tiny").random == "tiny"
    assert read_name(str(folder)).path == folder
    assert read_name(str(file)).kind == "file"
    hub = read_name("owner/name@0123abc/some dir/x.safetensors").repo
    assert hub is not None
    assert (hub.id, hub.revision, hub.files) == ("owner/name", "0123abc", ("some dir/x.safetensors",))
    plain = read_name("owner/name").repo
    assert plain is not None
    assert (plain.id, plain.revision, plain.files) == ("owner/name", None, ())


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sd-trubo", "did you mean 'sd-turbo'"),
        ("", "sdxl-turbo"),
        ("model.ckpt", "pickle"),
        ("owner/name/model.bin", "pickle"),
        ("gone.safetensors", "neither a file"),
        ("a/b/c/d", "neither a file"),
        ("../up", "neither a file"),
    ],
)
def test_what_cannot_be_a_model_is_answered_with_what_could(name: str, answer: str) -> None:
    with pytest.raises(UsageError, match=re.escape(answer)):
        read_name(name)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "song.wav").touch()
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        read_name(str(tmp_path / "song.wav"))


def test_names_are_read_without_torch() -> None:
    code = "import sys, vjengine.generate.turbo.store; assert not {'torch', 'huggingface_hub'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
