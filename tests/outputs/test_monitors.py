"""Finding monitors: by name, part of a name and number; and a machine without any."""

from __future__ import annotations

import threading

import pytest

from vjengine.errors import DisplayError
from vjengine.outputs.monitors import Monitor, choose_monitor, list_monitors


def monitor(name: str, x: int = 0) -> Monitor:
    return Monitor(name, (x, 0), (1920, 1080), 60.0, x == 0)


THREE = (monitor("eDP-1"), monitor("HDMI-1", 1920), monitor("HDMI-10", 3840))


@pytest.mark.parametrize(
    ("name", "place"),
    [("eDP-1", 0), ("edp", 0), (" HDMI-1 ", 1), ("hdmi-10", 2), ("1", 0), ("3", 2), ("I-10", 2)],
)
def test_a_monitor_is_found_by_name_part_or_number(name, place):
    assert choose_monitor(name, THREE) == place


def test_a_monitor_called_by_a_number_wins_over_the_number():
    assert choose_monitor("1", (monitor("A"), monitor("1", 1920))) == 1


@pytest.mark.parametrize("name", ["projector", "0", "4", "", "²"])
def test_an_unknown_name_lists_what_is_there(name):
    with pytest.raises(DisplayError, match=r"1: eDP-1 \(1920x1080\), 2: HDMI-1 .*, 3: HDMI-10"):
        choose_monitor(name, THREE)


def test_an_ambiguous_part_asks_for_a_number():
    with pytest.raises(DisplayError, match=r"more than one monitor .* by its number"):
        choose_monitor("HDMI", THREE)


def test_twins_are_told_apart_by_number():
    twins = (monitor("DELL"), monitor("DELL", 1920))
    with pytest.raises(DisplayError, match="by its number"):
        choose_monitor("DELL", twins)
    assert choose_monitor("2", twins) == 1


def test_without_any_monitor_the_message_says_so():
    with pytest.raises(DisplayError, match="none at all"):
        choose_monitor("HDMI", ())


def test_another_thread_is_refused_with_the_reason():
    caught: list[BaseException] = []

    def work() -> None:
        try:
            list_monitors()
        except DisplayError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_a_machine_without_display_says_what_to_do(child):
    facts = child(
        """
        from vjengine.outputs.monitors import has_display, list_monitors
        from vjengine.outputs.window import Window
        from vjengine.errors import DisplayError
        said = []
        for attempt in (list_monitors, lambda: Window("x", (64, 36))):
            try:
                attempt()
            except DisplayError as error:
                said.append(str(error))
        tell(has=[has_display(), has_display()], said=said)
        """,
        None,
    )
    assert facts["has"] == [False, False]
    assert len(facts["said"]) == 2
    assert all("--headless" in text and "DISPLAY" in text for text in facts["said"])


@pytest.mark.real
def test_one_screen_is_one_primary_monitor(child, xvfb):
    facts = child(
        """
        from dataclasses import asdict
        from vjengine.outputs.monitors import find_monitor, has_display, list_monitors
        tell(has=has_display(), monitors=[asdict(m) for m in list_monitors()], first=find_monitor("1").name)
        """,
        xvfb,
    )
    assert facts["has"] is True
    (only,) = facts["monitors"]
    assert (only["position"], only["size"], only["primary"]) == ([0, 0], [1280, 720], True)
    assert facts["first"] == only["name"]


@pytest.mark.real
def test_two_monitors_are_listed_with_their_places(child, two_monitors):
    facts = child(
        """
        from dataclasses import asdict
        from vjengine.outputs.monitors import list_monitors
        tell(monitors=[asdict(m) for m in list_monitors()])
        """,
        two_monitors,
    )
    places = {m["name"]: (m["position"], m["size"]) for m in facts["monitors"]}
    assert places == {"DUMMY0": ([0, 0], [1920, 1080]), "DUMMY1": ([1920, 0], [1920, 1080])}
    assert facts["monitors"][0]["refresh_hz"] > 0
