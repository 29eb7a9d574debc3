"""What opens the pages stays the same from night to night, and is nobody else's."""

import json
import os
import stat
from pathlib import Path

import pytest

from vjengine.cli.main import main
from vjengine.engine.options import PageOptions
from vjengine.engine.page_keys import FILE, kept_keys, web_settings
from vjengine.errors import ConfigError, InputError


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = kept_keys(tmp_path / "pages")
    assert first == kept_keys(tmp_path / "pages")
    assert first != kept_keys(tmp_path / "elsewhere")
    assert len(first["stage"]) >= 16
    assert len(first["crowd"]) >= 8
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "pages" / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"stage": "", "crowd": ""}', '{"stage": "a b c d e f", "crowd": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match="delete it"):
        kept_keys(tmp_path)


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="VJENGINE_PAGES"):
        kept_keys(tmp_path / "file" / "pages")


def test_settings_carry_what_was_asked_for(tmp_path: Path) -> None:
    asked = PageOptions(pages=("0.0.0.0", 8600), crowd=True, url="http://vj.example", oscquery=("127.0.0.1", 8610))
    settings = web_settings(asked, ("127.0.0.1", 9000), tmp_path)
    keys = json.loads((tmp_path / FILE).read_text())
    assert (settings.stage_secret, settings.crowd_token) == (keys["stage"], keys["crowd"])
    assert (settings.pages, settings.oscquery, settings.osc) == (asked.pages, asked.oscquery, ("127.0.0.1", 9000))
    assert (settings.public_url, settings.folder) == ("http://vj.example", tmp_path)
    own = web_settings(
        PageOptions(pages=("127.0.0.1", 0), secret="my-own-secret", crowd=True, crowd_open=True), None, tmp_path
    )
    assert (own.stage_secret, own.crowd_token) == ("my-own-secret", "")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--crowd"], "add --web"),
        (["--web-url", "http://x"], "add --web"),
        (["--web", "--web-url", "x.example"], "http://"),
        (["--web", "--web-secret", "short"], "8 to 64"),
        (["--web", "nowhere:port"], "HOST:PORT"),
        (["--oscquery", "1:2:x"], "HOST:PORT"),
        (["--osc-allow", "laptop.local"], "IP address"),
        (["--qr", "http://x/" + "y" * 200], "the most is 200"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "--audio", "none", "--headless", *flags]) == 2
    assert words in capsys.readouterr().err
