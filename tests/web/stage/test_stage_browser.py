"""The performer's page in a real browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vjengine.core import events as ev

PATIENCE = 12_000
"""ms."""
Open = Callable[..., Any]

CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const rgba = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = rgba(getComputedStyle(at).backgroundColor);
      if (found[3] > 0.99) return found;
    }
    return [0, 0, 0];
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const poor = [], fill = rgba(getComputedStyle(document.querySelector('.fader .fill')).backgroundColor);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
    if (!text || !node.checkVisibility({ visibilityProperty: true }) || node.closest('noscript, .unseen')) continue;
    seen += 1;
    const ink = rgba(getComputedStyle(node).color);
    for (const under of node.closest('.fader') ? [ground(node), fill] : [ground(node)]) {
      if (ratio(ink, under) < 4.5) poor.push(`${text}: ${ratio(ink, under).toFixed(2)}`);
    }
    if (parseFloat(getComputedStyle(node).fontSize) < 12) poor.push(`${text}: too small`);
  }
  return [seen, poor, light(ground(document.body))];
}"""

SMALL = """() => [...document.querySelectorAll('button, input, [role=slider], [role=switch]')]
  .filter((node) => node.checkVisibility({ visibilityProperty: true }) && node.offsetParent)
  .map((node) => [node.outerHTML.slice(0, 90), node.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 37.5)
  .map(([what, box]) => `${what} ${box.width}x${box.height}`)"""


@pytest.fixture
def page(browser: Any, calm: Any, secret: str) -> Iterator[Open]:
    """Opens pages; each fails the test that uses it if it has errors."""
    contexts, faults = [], []

    def open_page(
        width: int = 1280, height: int = 800, *, touch: bool = False, of: Any = calm, preview: bool = False
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if not preview:
            context.add_init_script("localStorage.setItem('vjengine.stage.preview', 'off')")
        made = context.new_page()
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        made.goto(f"{of.url}?k={secret}", wait_until="commit")
        made.wait_for_selector("body[data-ready]")
        assert secret not in made.url
        return made

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def fader(page: Any, name: str) -> Any:
    page.fill("#search", name)
    return page.locator(f'#fader-list [data-param="{name}"]')


def test_a_fader_moved_on_one_page_moves_on_the_other(page: Open, calm: Any, wait_until: Any) -> None:
    one, other = page(), page(360, 640, touch=True)
    other.click('#tabs [data-tab="faders"]')
    mine, _ = fader(one, "bloom.radius"), fader(other, "bloom.radius")
    box = mine.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    one.mouse.move(x, y)
    one.mouse.down()
    one.mouse.move(x - 20, y)
    one.mouse.move(x - 80, y, steps=6)
    wait_until(lambda: calm.position("bloom.radius") < 0.55)
    held = mine.get_attribute("aria-valuetext")
    # Something else moves it while the finger is on it: the finger wins here, the other page sees the engine.
    calm.tell(ev.ParamSet(param="bloom.radius", value=0.9))
    other.wait_for_selector('#fader-list [aria-valuetext="0.90"]')
    assert mine.get_attribute("aria-valuetext") == held
    one.mouse.up()
    one.wait_for_selector('#fader-list [aria-valuetext="0.90"]')
    # Twice on it: as by default.
    mine.dblclick()
    wait_until(lambda: abs(calm.position("bloom.radius") - 0.6) < 1e-6)


def test_touch_moves_by_how_far_the_finger_went(page: Open, calm: Any, wait_until: Any) -> None:
    hand = page(360, 640, touch=True)
    hand.click('#tabs [data-tab="faders"]')
    at = fader(hand, "bloom.radius")
    before = calm.position("bloom.radius")
    at.tap(position={"x": 20, "y": 20})
    box = at.bounding_box()
    touch = hand.context.new_cdp_session(hand)

    def finger(kind: str, x: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x, "y": box["y"] + 20}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    hand.wait_for_timeout(400)
    assert calm.position("bloom.radius") == before, "a touch alone moved a fader"
    finger("touchStart", box["x"] + 50)
    for step in range(1, 12):
        finger("touchMove", box["x"] + 50 - 4 * step)
    finger("touchEnd", 0)
    wait_until(lambda: calm.position("bloom.radius") < before - 0.05)
    assert calm.position("bloom.radius") > before - 0.2


def test_what_is_held_is_let_go_when_the_page_is_killed(page: Open, calm: Any, wait_until: Any) -> None:
    one = page()
    box = one.locator('[data-macro="DROP"]').bounding_box()
    one.mouse.move(box["x"] + 20, box["y"] + 20)
    one.mouse.down()
    wait_until(lambda: calm.holds("DROP"))
    one.wait_for_selector('[data-macro="DROP"][aria-pressed="true"]')
    one.close()
    wait_until(lambda: not calm.holds("DROP"))
    # And when the finger, the focus or the sight of it is lost.
    two = page()
    for lose in ("pointercancel", "blur", "hidden"):
        two.mouse.move(box["x"] + 20, box["y"] + 20)
        two.mouse.down()
        wait_until(lambda: calm.holds("DROP"))
        if lose == "pointercancel":
            two.dispatch_event('[data-macro="DROP"]', "pointercancel", {"pointerId": 1})
        elif lose == "blur":
            two.evaluate("dispatchEvent(new Event('blur'))")
        else:
            two.evaluate(
                "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
                "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden"
            )
        wait_until(lambda: not calm.holds("DROP"), lose)
        two.mouse.up()


def test_keys_alone_play_the_show(page: Open, calm: Any, wait_until: Any) -> None:
    one = page()
    keys = one.keyboard
    keys.down("d")
    wait_until(lambda: calm.holds("DROP"))
    keys.up("d")
    wait_until(lambda: not calm.holds("DROP"))
    keys.press("k")
    wait_until(lambda: calm.holds("KALEIDO"))
    keys.press("x")
    one.wait_for_selector("#top[data-black] #blackout[aria-pressed=true]")
    wait_until(lambda: calm.holds("BLACKOUT"))
    keys.press(" ")
    wait_until(lambda: {"kind": "tempo", "function": "tap"} in calm.orders)
    level = calm.state.macros["ENERGY"].requested
    keys.press("4")
    wait_until(lambda: calm.state.macros["ENERGY"].requested > level + 0.04)
    # A short P is a slip; a held one is meant.
    keys.press("p")
    keys.down("p")
    wait_until(lambda: {"kind": "trigger", "action": "panic"} in calm.orders)
    keys.up("p")
    wait_until(lambda: not calm.holds("KALEIDO"))
    assert calm.orders.count({"kind": "trigger", "action": "panic"}) == 1
    # Walk by Tab: the focus shows, and what has it keeps its keys.
    one.focus("#search")
    keys.type("bloom.radius")
    assert not calm.holds("BUILD")
    for _ in range(60):
        keys.press("Tab")
        if one.evaluate("document.activeElement.matches('#fader-list [role=slider]')"):
            break
    assert one.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    look, before = calm.state.look.name, calm.position("bloom.radius")
    keys.press("ArrowRight")
    wait_until(lambda: calm.position("bloom.radius") > before)
    keys.press("Home")
    wait_until(lambda: calm.position("bloom.radius") == 0.0)
    assert calm.state.look.name == look
    one.focus('[data-macro="FREEZE"]')
    keys.press("Tab")
    keys.press("Shift+Tab")
    keys.press("Enter")
    wait_until(lambda: calm.holds("FREEZE"))


def test_looks_prompt_favourites_and_picture(page: Open, calm: Any, wait_until: Any) -> None:
    one = page(preview=True)
    one.click('[data-look="magma"]')
    wait_until(lambda: calm.state.look.name == "magma")
    one.wait_for_selector('[data-look="magma"][aria-current="true"]')
    one.fill("#prompt-text", "<img src=x onerror=alert(1)> & sea")
    one.press("#prompt-text", "Enter")
    one.wait_for_selector('#prompt-now:has-text("<img src=x onerror=alert(1)>")')
    assert one.locator("main img").count() == 0
    one.click("#prompt-clear")
    wait_until(lambda: not calm.state.prompt[0])
    fader(one, "out.level").locator("..").locator(".star").click()
    one.reload(wait_until="commit")
    one.wait_for_selector("body[data-ready]")
    one.click('#rooms [data-room="★"]')
    assert one.locator("#fader-list [data-param]").count() == 1
    wait_until(lambda: int(one.get_attribute("#picture", "data-drawn") or 0) >= 3)
    one.click("#picture-on")
    wait_until(lambda: not calm.watched)


def test_it_is_read_in_the_dark_and_hit_by_a_thumb(page: Open, calm: Any) -> None:
    # Macros in every state that they know.
    for macro in ("DROP", "CHILL", "TUNNEL", "RESEED"):
        calm.tell(ev.MacroSet(macro=macro))
    one = page(360, 640, touch=True)
    one.wait_for_selector('[data-macro="CHILL"].under')
    for width, height in ((360, 640), (820, 1180), (740, 360), (1280, 800)):
        one.set_viewport_size({"width": width, "height": height})
        assert one.evaluate("document.documentElement.scrollWidth") <= width
        # What is always there is there.
        for always in ("#tap", "#blackout", "#panic", "#bpm"):
            assert one.locator(always).is_visible()
        for tab in ("macros", "live", "looks", "faders"):
            chosen = one.locator(f'#tabs [data-tab="{tab}"]')
            if chosen.is_visible():
                chosen.click()
            seen, poor, ground = one.evaluate(CONTRAST)
            assert seen > 10
            assert not poor
            assert ground < 0.02
            # Chips of rooms may be smaller where there is room for a mouse.
            assert not [small for small in one.evaluate(SMALL) if width < 1000 or "data-room" not in small]
    calm.tell(ev.MacroSet(macro="BLACKOUT"))
    one.wait_for_selector("#top[data-black]")
    assert not one.evaluate(CONTRAST)[1]


def test_it_comes_back_by_itself_and_says_so(page: Open, calm: Any, wait_until: Any) -> None:
    one = page()
    calm.stop()
    one.wait_for_selector('body[data-line="lost"]')
    assert one.locator("#line").is_visible()
    # What cannot be sent is not shown as done.
    one.click("#blackout", force=True)
    assert one.get_attribute("#blackout", "aria-pressed") == "false"
    calm.tell(ev.LookSelected(look="deepsea"))
    calm.start()
    one.wait_for_selector('body[data-line="good"]')
    one.wait_for_selector('[data-look="deepsea"][aria-current="true"]')
    one.click("#blackout")
    wait_until(lambda: calm.holds("BLACKOUT"))
    # A show that stands still behind a good line is told apart.
    calm.still = True
    try:
        one.wait_for_selector('body[data-line="stale"]')
    finally:
        calm.still = False
    one.wait_for_selector('body[data-line="good"]')


def test_the_crowd_is_let_in_and_sent_away_and_controllers_learn(page: Open, full: Any, wait_until: Any) -> None:
    one = page(360, 640, touch=True, of=full)
    one.click('#tabs [data-tab="crowd"]')
    one.click('#crowd [role=radio]:text("ask")')
    wait_until(lambda: full.desk.mode == "ask")
    full.guest_says("jellyfish & rain", "Ann", "a")
    full.guest_says("neon temple", "Bob", "b")
    one.wait_for_selector("#crowd-mark:text('2')")
    one.locator(".queue li", has_text="jellyfish").locator('[data-action="approve"]').click()
    wait_until(lambda: any(order["kind"] == "crowd" and "jellyfish" in order["text"] for order in full.orders))
    ban = one.locator(".queue li", has_text="temple").locator('[data-action="ban"]')
    ban.click()
    assert full.desk.waiting()
    ban.click()
    wait_until(lambda: not full.desk.waiting())
    one.wait_for_selector('.banned button:has-text("Bob")')
    one.click('#crowd [data-macro="LOCK"]')
    wait_until(lambda: full.holds("LOCK"))
    one.click('#tabs [data-tab="faders"]')
    one.click("#learn")
    one.click('#tabs [data-tab="macros"]')
    one.click('#macros [data-macro="DROP"]')
    wait_until(lambda: {"kind": "learn", "target": "DROP"} in full.orders)
    assert not full.holds("DROP")
    one.keyboard.press("Escape")
    wait_until(lambda: {"kind": "learn", "target": ""} in full.orders)


def test_a_link_that_no_longer_opens_says_how_to_get_one(browser: Any, stage: Any) -> None:
    context = browser.new_context()
    one = context.new_page()
    answer = one.goto(f"{stage.url}?k=last-night")
    assert answer.status == 401
    assert "link" in one.inner_text("body")
    context.close()
