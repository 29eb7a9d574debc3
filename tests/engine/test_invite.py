"""The page's address on its way to the screen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vjengine.core.control import ControlState
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.params import ParamValues
from vjengine.engine.invite import LONGEST, Invite, caption, qr_modules, short

URL = "http://192.168.1.20:8600/?t=kT3nX9qLwZ0aYb7c"


class Board:
    """What the compositor was handed."""

    def __init__(self) -> None:
        self.codes: list[tuple[object, str]] = []

    def set_qr(self, modules: object, words: str = "") -> None:
        self.codes.append((modules, words))


TOKEN = "".join(np.random.default_rng(1).choice(list("abcdefghABCDEFGH0123456789"), LONGEST - 23))


@pytest.mark.parametrize("url", ["http://a.de/", URL, f"https://example.org/?t={TOKEN}"])
def test_the_code_holds_the_address(url: str) -> None:
    code = np.pad(qr_modules(url), 4)
    picture = np.kron(np.where(code, 0, 255), np.ones((6, 6))).astype(np.uint8)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == url


@pytest.mark.parametrize("url", ["", "x" * (LONGEST + 1)])
def test_no_address_and_an_endless_one_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        qr_modules(url)


def test_the_words_hold_no_token() -> None:
    assert short(URL) == "192.168.1.20:8600"
    assert short("https://vj.example/night/?t=1#x") == "vj.example/night"
    assert caption(URL).splitlines() == ["scan · type · see it here", "192.168.1.20:8600"]


def test_each_address_is_handed_over_once() -> None:
    invite, board = Invite(EventQueue()), Board()
    invite.follow(board, ControlState())
    assert board.codes == []
    invite.tell(URL)
    invite.tell(URL)
    for _ in range(3):
        invite.follow(board, ControlState())
    assert len(board.codes) == 1
    assert invite.url == URL
    invite.tell("")
    invite.follow(board, ControlState())
    assert board.codes[-1][0] is None


def test_an_endless_address_is_told_of_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    invite, board = Invite(EventQueue()), Board()
    invite.tell("x" * (LONGEST + 1))
    invite.follow(board, ControlState())
    assert board.codes[-1][0] is None
    assert "QR code" in caplog.text


def test_asking_for_a_code_without_a_page_is_answered() -> None:
    events = EventQueue()
    invite, board = Invite(events), Board()
    asked = ControlState(values=ParamValues.of({"qr.mix": 1.0}))
    for _ in range(3):
        invite.follow(board, asked)
    (said,) = events.drain()
    assert isinstance(said, StatusChanged)
    assert (said.component, said.level) == ("qr", "warn")
    invite.tell(URL)
    invite.follow(board, asked)
    assert [one.level for one in events.drain() if isinstance(one, StatusChanged)] == ["ok"]
