"""What is taken back of a chunk, and what comes in anew: seen in pixels."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.collapsing import HARMS, Harm, harmed
from vjengine.offline.longcat.curves import bends, bent, between, quantiles
from vjengine.offline.longcat.hold import Holder, Scene
from vjengine.offline.longcat.renew import Renewal, Round
from vjengine.offline.longcat.seam import changes, joined, seam, small
from vjengine.offline.longcat.steady import fixed, fixes, looks

SIZE = (96, 54)


def scene(seed: int = 3) -> Pixels16:
    """Draw large soft shapes with some sharp ones on them."""
    random = np.random.default_rng(seed)
    clouds = random.uniform(0.25, 0.7, (5, 8, 3)).astype(np.float32)
    picture = cv2.resize(clouds, SIZE, interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        at = int(random.integers(SIZE[0])), int(random.integers(SIZE[1]))
        cv2.circle(picture, at, int(random.integers(3, 9)), tuple(random.uniform(0.2, 0.8, 3)), -1, cv2.LINE_AA)
    words: Pixels16 = (picture.clip(0, 1) * 65535).astype(np.uint16)
    return words


def worse(picture: Pixels16, harm: Harm, count: int, amount: float = 1.0) -> Pixels16:
    """Return the chunk that a continuation makes of a picture by harming it again and again."""
    values = picture.astype(np.float32) / np.float32(65535)
    frames = []
    for _ in range(count):
        values = harmed(values, harm, amount)
        frames.append(np.rint(values * 65535).astype(np.uint16))
    return np.stack(frames)


def apart(one: Pixels16, other: Pixels16) -> float:
    return float(np.abs(one.astype(float) - other).mean() / 257)


@pytest.mark.parametrize("harm", ["magenta", "green", "dark", "grey"])
def test_harm_is_taken_back_along_its_course(harm: Harm) -> None:
    first = scene()
    made = worse(first, harm, 12, 2.0)
    like = looks(first)
    shown = [fixed(frame, fix) for frame, fix in zip(made, fixes(made, like, like, 1.0, 1.0), strict=True)]
    assert apart(shown[-1], first) < 0.25 * apart(made[-1], first)
    steps = [apart(a, b) for a, b in zip([first, *shown], shown, strict=False)]
    assert max(steps) < 1.0, "and nothing jumps on the way"


def test_detail_that_breeds_is_taken_back_in_every_size() -> None:
    first = scene()
    made, like = worse(first, "sharpen", 12), looks(first)
    shown = [fixed(frame, fix) for frame, fix in zip(made, fixes(made, like, like, 1.0, 1.0), strict=True)]
    assert np.abs(looks(made[-1]).detail - like.detail).max() > 1.0
    assert np.abs(looks(shown[-1]).detail - like.detail).max() < 0.35


def test_a_flash_within_a_chunk_stays() -> None:
    first = scene()
    made = np.repeat(first[None], 12, axis=0)
    made[5] = np.minimum(made[5].astype(int) + 12000, 65535)
    shown = [fixed(a, b) for a, b in zip(made, fixes(made, looks(first), looks(first), 1.0, 0.0), strict=True)]
    jump = (float(shown[5].mean()) - float(shown[4].mean())) / (float(made[5].mean()) - float(made[4].mean()))
    assert jump > 0.7


def test_a_scene_comes_in_moved_and_mirrored_until_all_of_it_is_new() -> None:
    first = scene()
    grey = np.full_like(first, 30000)
    state = Round()
    renewal = Renewal(first, state, 7, 0.11, 0.0)
    shares = [renewal.put(grey.astype(np.float32), grey) for _ in range(10)]
    assert [share for _, share in shares] == sorted(share for _, share in shares)
    picture, share = shares[-1]
    assert share == pytest.approx(1.0, abs=1e-3)
    assert state.aside is not None
    x, y = (int(value) for value in state.aside[0, 0])
    mirrored = np.pad(first[:, ::-1], ((10, 10), (20, 20), (0, 0)), mode="reflect").astype(np.float32)
    expected = mirrored[10 + y : 10 + y + SIZE[1], 20 + x : 20 + x + SIZE[0]]
    assert np.abs(picture - expected).max() < 257, "px by px the first picture, as sharp"


def test_what_has_come_in_moves_with_the_scene() -> None:
    first = scene(5)
    state = Round()
    state.begin(first)
    renewal = Renewal(first, state, 7, 0.0, 1.0)
    moved = first
    for _ in range(4):
        moved = np.roll(moved, 2, axis=1)
        picture, _ = renewal.put(np.zeros(first.shape, np.float32), moved)
    middle = np.s_[8:-8, 20:-12]
    assert apart(picture[middle].astype(np.uint16), moved[middle]) < 0.5 * apart(first[middle], moved[middle])


@pytest.mark.parametrize("harm", ["magenta", "sharpen", "blur"])
def test_chunk_after_chunk_is_held(harm: Harm) -> None:
    assert harm in HARMS
    first = scene()
    ends = []
    for correct in (True, False):
        holder = Holder(1, correct=correct)
        last, times = first, [k / 12 for k in range(12)]
        holder.hold(first[None], Scene(0, "", first), [0.0], settled=True)
        for _ in range(8):
            shown, rows = holder.hold(worse(last, harm, 12), Scene(0, "", first), times, settled=True)
            last = shown[-1]
        assert len([row for row in rows if "gains" in row]) == 12
        ends.append(looks(last))
    like = looks(first)
    for name in ("colours", "detail"):
        held, free = (float(np.abs(getattr(end, name) - getattr(like, name)).max()) for end in ends)
        assert held < max(0.5 * free, 0.02 if name == "colours" else 0.5)


def test_what_wears_not_is_left_alone() -> None:
    first = scene()
    holder = Holder(1, correct=True)
    still = np.repeat(first[None], 12, axis=0)
    for _ in range(3):
        shown, _ = holder.hold(still, Scene(0, "", first), [k / 12 for k in range(12)], settled=True)
        assert np.array_equal(shown, still)


def test_a_palette_of_another_shape_is_bent_back() -> None:
    first = scene()
    share = first.astype(np.float32) / np.float32(65535)
    # About the same mean and spread: no line through the colours gives this back.
    other = np.rint(65535 * (share + 0.09 * np.sin(2 * np.pi * share))).clip(0, 65535).astype(np.uint16)
    like, far = quantiles(first), []
    for part in (0.0, 0.5, 1.0):
        back = bent(other, between(quantiles(other), like, part))
        far.append(float(np.abs(quantiles(back) - like).mean()))
    assert far[0] > 2.0
    assert far[1] < 0.7 * far[0]
    assert far[2] < 0.35 * far[0]


def test_curves_begin_with_next_to_nothing_and_follow_the_course() -> None:
    first = scene()
    share = first.astype(np.float32) / np.float32(65535)
    wave = np.sin(2 * np.pi * share)
    made = np.stack([np.rint(65535 * (share + 0.005 * k * wave)).clip(0, 65535).astype(np.uint16) for k in range(20)])
    shown = [bent(frame, curves) for frame, curves in zip(made, bends(made, first), strict=True)]
    like = quantiles(first)
    off = [float(np.linalg.norm(np.abs(quantiles(frame) - like).mean(axis=0))) for frame in shown]
    assert np.array_equal(shown[0], made[0])
    assert max(off) < 0.6 * float(np.linalg.norm(np.abs(quantiles(made[-1]) - like).mean(axis=0)))
    steps = [apart(a, b) for a, b in itertools.pairwise(shown)]
    assert max(steps) < 1.0, "and nothing jumps on the way"


def test_bent_colours_keep_their_order() -> None:
    ramp = np.linspace(0, 65535, SIZE[0]).astype(np.uint16)
    ramp = np.repeat(np.repeat(ramp[None, :, None], SIZE[1], axis=0), 3, axis=2)
    two = np.where(ramp > 30000, np.uint16(50000), np.uint16(9000))
    back = bent(ramp, between(quantiles(ramp), quantiles(two), 1.0))
    steps = np.diff(back[0, :, 1].astype(int))
    assert np.abs(back.astype(int) - ramp).max() > 2000
    assert steps.min() > 0, "even if all colours are to become two, a gradient stays one"


def test_a_jump_is_joined_and_nothing_after_it_jumps_instead() -> None:
    first = scene(8)
    film = np.stack([np.roll(first, 2 * k, axis=1) for k in range(16)])
    after = film[4:].copy()
    after[..., 0] = np.minimum(after[..., 0].astype(int) + 5000, 65535)
    shown = joined(film[:4], after, 4)
    old, was, now = ([small(one) for one in part] for part in (film[:4], after, shown))
    assert seam(old, was) > 1.5
    assert seam(old, now) <= 1.5
    assert changes(now).max() < 1.5 * np.median(changes(now))
    assert np.array_equal(shown[8:], after[8:])
    assert np.array_equal(joined(film[:4], film[4:], 4), film[4:]), "what does not jump stays as it is"
    assert joined(film[:4], after, 0) is after
