"""What is kept of the crowd over a restart, and what is not."""

import json
from pathlib import Path

import pytest

from vjengine.web.crowd import store as store_module
from vjengine.web.crowd.store import FILE, NIGHT, Store


def test_people_are_hashes_that_outlive_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    alias = store.alias("192.168.1.20")
    assert store.save({"queue": [alias]})
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "192.168" not in text
    again = Store(tmp_path)
    loaded = again.load()
    assert loaded is not None
    assert loaded[0]["queue"] == [alias]
    assert 0.0 <= loaded[1] < 60.0
    assert again.alias("192.168.1.20") == alias
    assert Store(None).alias("192.168.1.20") != alias


def test_another_night_begins_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).save({"queue": []})
    now = store_module._date()
    monkeypatch.setattr(store_module, "_date", lambda: now + NIGHT + 1.0)
    assert Store(tmp_path).load() is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"saved": "x", "salt": "00"}', "[" * 5000, '{"saved": 1e999}']
)
def test_a_broken_file_is_left_aside(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    assert Store(tmp_path).load() is None


def test_nothing_is_written_without_a_folder_and_a_bad_one_costs_nothing(tmp_path: Path) -> None:
    assert Store(None).save({})
    (tmp_path / "file").write_text("in the way")
    assert not Store(tmp_path / "file").save({})


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save({"queue": [1]})
    (tmp_path / FILE).with_suffix(".part").write_text('{"queue": [')
    loaded = Store(tmp_path).load()
    assert loaded is not None
    assert loaded[0]["queue"] == [1]
    assert json.loads((tmp_path / FILE).read_text())["queue"] == [1]
