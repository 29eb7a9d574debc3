"""The crowd's page in a real browser, at a phone's size: from the code on the screen to the turn."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from vjengine.core.events import ParamSet
from vjengine.web.crowd.store import FILE

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
LIVENESS_MS = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


class Phone:
    """A browser of its own: its cookies are nobody else's."""

    def __init__(self, browser: Any, *, scripts: bool = True) -> None:
        size = {"width": 360, "height": 740}
        self.context = browser.new_context(viewport=size, is_mobile=True, has_touch=True, java_script_enabled=scripts)
        self.context.set_default_timeout(LIVENESS_MS)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Security" in said.text else None)

    def say(self, text: str, author: str = "") -> None:
        self.page.fill("#text", text)
        self.page.fill("#author", author)
        self.page.tap("#send")

    def waits_for(self, condition: str) -> None:
        # Not Playwright's own way to wait, which the page's security policy rightly forbids.
        deadline = time.monotonic() + LIVENESS_MS / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"{condition} never came true"
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def phone(browser: Any) -> Iterator[Phone]:
    held = Phone(browser)
    yield held
    held.context.close()


@pytest.fixture
def other(browser: Any) -> Iterator[Phone]:
    held = Phone(browser)
    yield held
    held.context.close()


def text(of: str) -> str:
    return f"document.getElementById('{of}').textContent"


def test_from_the_code_to_the_turn(live: Any, phone: Phone, other: Phone) -> None:
    phone.page.goto(live.link.urls["crowd"])
    # The token has left the address line and works on from the cookie.
    assert phone.page.url == f"{live.url}/"
    other.page.goto(live.link.urls["crowd"])

    phone.page.wait_for_selector("#ideas button")
    phone.page.tap("#ideas button:first-child")
    idea = phone.page.input_value("#text")
    assert idea
    phone.page.tap("#send")
    phone.waits_for(f"{text('now-text')} === {idea!r}")
    phone.waits_for(f"{text('now-label')} === 'Yours is on the screen now'")
    live.wait_until(lambda: live.control.read().crowd.text == idea, "the prompt in the show")
    phone.page.reload()
    phone.waits_for(f"{text('now-label')} === 'Yours is on the screen now'")

    other.say("<b>bold</b>")
    other.waits_for(f"{text('said')}.length > 5")
    assert "brackets" in other.page.inner_text("#said")
    other.say("rock & \"roll\" 'n' stars; $HOME", "Zoë")
    other.waits_for(f"{text('place')} === 'You are next'")
    assert not other.page.is_visible("#say")

    # Seen by the other phone as text, with a button to vote that is big enough for a thumb.
    vote = phone.page.wait_for_selector("#list li button.vote")
    assert "rock & \"roll\" 'n' stars; $HOME" in phone.page.inner_text("#list")
    box = vote.bounding_box()
    assert min(box["width"], box["height"]) >= 48
    vote.tap()
    other.waits_for("document.querySelector('#list .vote').textContent === '2'")

    other.page.tap("#withdraw")
    other.waits_for("document.getElementById('list').children.length === 0")
    assert other.page.is_visible("#say")
    assert phone.faults == other.faults == []
    assert phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_the_token_it_says_what_to_do(live: Any, phone: Phone) -> None:
    phone.page.goto(live.url)
    assert "QR code" in phone.page.inner_text("main")


def test_without_javascript_the_form_still_sends(live: Any, browser: Any) -> None:
    plain = Phone(browser, scripts=False)
    plain.page.goto(live.link.urls["crowd"])
    plain.say("a plain old form")
    plain.page.wait_for_url("**/crowd/say")
    assert "in the queue" in plain.page.inner_text("h1")
    plain.context.close()


def test_it_finds_its_way_back_when_the_pages_were_gone(live: Any, phone: Phone) -> None:
    # Locked, so that what is sent waits for as long as this takes.
    live.events.put(ParamSet(param="crowd.lock", value=1.0))
    phone.page.goto(live.link.urls["crowd"])
    phone.waits_for(f"{text('line')}.includes('ideas wait')")
    phone.say("lanterns on the water")
    phone.waits_for(f"{text('said')} === 'Sent.'")
    phone.page.wait_for_selector("#list li")
    # What was said less than a second before a kill may be lost; this one was said before that.
    kept = live.link.settings.folder / FILE
    live.wait_until(lambda: kept.exists() and "lanterns" in kept.read_text(encoding="utf-8"), "the queue on the disk")
    restarts = live.link.restarts
    os.kill(live.link.pid, signal.SIGTERM)
    live.wait_until(lambda: live.link.restarts > restarts, "the end of the web process")
    phone.page.evaluate("document.getElementById('list').textContent = ''")
    phone.page.wait_for_selector("#list li", state="attached")
    phone.waits_for(f"{text('line')} === ''")
