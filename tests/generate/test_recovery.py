"""What follows from a failure, without any process."""

from __future__ import annotations

from vjengine.generate.base import GeneratorSpec
from vjengine.generate.recovery import BACK_OFF, Recovery

TURBO, PROCEDURAL = GeneratorSpec("turbo", (64, 64)), GeneratorSpec("procedural", (64, 64))


def test_without_a_fallback_it_tries_for_ever_and_ever_more_slowly() -> None:
    recovery = Recovery(TURBO)
    verdicts = [recovery.failed("killed by SIGKILL", False) for _ in range(8)]
    assert tuple(verdict.delay for verdict in verdicts[:6]) == BACK_OFF
    assert verdicts[7].delay == BACK_OFF[-1]
    assert [verdict.level for verdict in verdicts[:4]] == ["warn", "warn", "warn", "error"]
    assert verdicts[0].message == "restarting: killed by SIGKILL"
    assert recovery.spec is TURBO
    assert recovery.apology == ""


def test_three_failures_in_a_row_bring_the_fallback_with_the_reason() -> None:
    recovery = Recovery(TURBO, PROCEDURAL)
    assert recovery.failed("a", False).delay == 0.0
    assert recovery.failed("b", False).level == "warn"
    verdict = recovery.failed("a CUDA fault", False)
    assert (verdict.level, verdict.delay) == ("error", 0.0)
    assert verdict.message == "turbo failed three times (a CUDA fault): procedural plays instead"
    assert recovery.spec is PROCEDURAL
    assert recovery.apology == verdict.message


def test_a_failure_for_good_brings_it_at_once() -> None:
    recovery = Recovery(TURBO, PROCEDURAL)
    verdict = recovery.failed("torch is not available", True)
    assert verdict.message == "turbo cannot run (torch is not available): procedural plays instead"
    assert recovery.spec is PROCEDURAL


def test_failures_far_apart_do_not_add_up() -> None:
    recovery = Recovery(TURBO, PROCEDURAL)
    for _ in range(5):
        assert recovery.failed("now and then", False).delay == 0.0
        recovery.healthy()
    assert recovery.spec is TURBO


def test_the_fallback_itself_is_tried_again_and_ends_only_for_good() -> None:
    recovery = Recovery(TURBO, PROCEDURAL)
    recovery.failed("no model", True)
    for _ in range(5):
        assert recovery.failed("killed", False).delay >= 0.0
    assert recovery.spec is PROCEDURAL
    assert recovery.failed("no OpenGL", True).delay < 0.0
