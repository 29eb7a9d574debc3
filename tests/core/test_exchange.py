import threading

from vjengine.core.events import MacroLevel, MacroSet, ParamSet, StatusChanged
from vjengine.core.exchange import EventQueue, Latest


def test_latest_counts_what_nobody_read() -> None:
    slot: Latest[int] = Latest(0)
    slot.publish(1)
    slot.publish(2)
    assert slot.read() == 2
    assert slot.overwritten == 1
    slot.publish(3)
    assert slot.overwritten == 1
    assert slot.read_versioned() == (3, 3)


def test_faders_merge_and_take_the_later_place() -> None:
    queue = EventQueue()
    queue.put(ParamSet(param="gen.warp", value=0.1))
    queue.put(MacroSet(macro="DROP", value=1))
    queue.put(ParamSet(param="gen.warp", value=0.9))
    drained = queue.drain()
    assert [type(event).__name__ for event in drained] == ["MacroSet", "ParamSet"]
    assert drained[1] == ParamSet(param="gen.warp", value=0.9)
    assert queue.merged == 1


def test_edges_never_merge() -> None:
    queue = EventQueue()
    for value in (1, 0, 1, 0):
        queue.put(MacroSet(macro="DROP", value=value))
    assert [event.value for event in queue.drain() if isinstance(event, MacroSet)] == [1, 0, 1, 0]


def test_full_queue_refuses_and_counts_but_still_moves_faders() -> None:
    queue = EventQueue(capacity=2)
    assert queue.put(MacroLevel(macro="ENERGY", value=0.1))
    assert queue.put(MacroSet(macro="DROP"))
    assert not queue.put(MacroSet(macro="BUILD"))
    assert queue.put(MacroLevel(macro="ENERGY", value=0.7))
    assert queue.dropped == 1
    assert MacroLevel(macro="ENERGY", value=0.7) in queue.drain()


def test_a_status_replaces_the_same_components_status() -> None:
    queue = EventQueue()
    queue.put(StatusChanged(component="audio", level="warn", message="lost"))
    queue.put(StatusChanged(component="midi", level="warn", message="lost"))
    queue.put(StatusChanged(component="audio", level="ok"))
    assert [(event.component, event.level) for event in queue.drain() if isinstance(event, StatusChanged)] == [
        ("midi", "warn"),
        ("audio", "ok"),
    ]


def test_many_writers_lose_nothing() -> None:
    queue = EventQueue(capacity=100_000)
    seen: list[int] = []

    def write(start: int) -> None:
        for i in range(2000):
            queue.put(MacroSet(macro=str(start + i)))

    threads = [threading.Thread(target=write, args=(k * 2000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen += [int(event.macro) for event in queue.drain() if isinstance(event, MacroSet)]
    seen += [int(event.macro) for event in queue.drain() if isinstance(event, MacroSet)]
    assert sorted(seen) == list(range(8000))
