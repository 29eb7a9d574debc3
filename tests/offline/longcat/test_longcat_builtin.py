"""The built-in continuation: light enough to project, prompts unlike each other, unbroken from chunk to chunk."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vjengine.offline.clips import to8
from vjengine.offline.continuation import Ask, Carried, Opening
from vjengine.offline.longcat.builtin import Builtin
from vjengine.offline.longcat.field import Currents, Folded, places
from vjengine.offline.longcat.hands import hand_of
from vjengine.offline.progress import Interrupt

SIZE = (96, 54)
KEEPER = Interrupt("", lambda words: None)
FPS = Fraction(15)


def film(prompt: str, chunks: tuple[int, ...], size: tuple[int, int] = SIZE, **more: object) -> np.ndarray:
    """Return the pictures of a film in chunks of so many."""
    builtin = Builtin()
    carried = builtin.open(Opening(prompt, seed=3), size, KEEPER)
    made = [carried.frames]
    done = 0
    for index, count in enumerate(chunks):
        ask = Ask(index, count, seed=index + 9, fps=FPS, time=done / float(FPS), prompt=prompt, **more)  # type: ignore[arg-type]
        clip = builtin.extend(carried, ask, KEEPER)
        made.append(clip.frames)
        carried = Carried(clip.frames[-1:], carried.anchor, clip.state)
        done += count
    return np.concatenate(made)


@pytest.mark.parametrize(
    "prompt", ["a neon jellyfish in deep water", "coral reef", "desert at noon", "snow", "fire", ""]
)
def test_there_is_light_and_there_is_dark(prompt: str) -> None:
    last = film(prompt, (30, 30), pulse=(0.3,) * 30)[-40::10].astype(np.float32) / 65535
    luma = last @ np.array((0.2126, 0.7152, 0.0722), np.float32)
    assert 0.15 < luma.mean() < 0.55
    assert np.percentile(luma, 3) < 0.2
    assert np.percentile(luma, 99) > 0.6


def test_prompts_look_unlike_each_other() -> None:
    def colours(prompt: str) -> np.ndarray:
        lab = cv2.cvtColor(film(prompt, (20,))[-1].astype(np.float32) / 65535, cv2.COLOR_RGB2Lab)
        return lab.reshape(-1, 3).mean(axis=0)

    means = [colours(prompt) for prompt in ("fire", "deep ocean", "green forest")]
    assert all(np.linalg.norm(a[1:] - b[1:]) > 15 for k, a in enumerate(means) for b in means[:k])


def test_beats_shine() -> None:
    calm, beat = (film("silk", (12,), pulse=(0.0,) * 10 + (x, x))[-1].mean() for x in (0.0, 1.0))
    assert 1.02 * calm < beat < 1.6 * calm


def test_a_chunk_begins_where_the_last_one_ended() -> None:
    pictures = film("coral reef", (14, 14, 14)).astype(np.float32)
    steps = np.abs(np.diff(pictures[2:], axis=0)).mean(axis=(1, 2, 3))
    joins = steps[[12, 26]]
    assert joins.max() < 1.5 * np.median(steps)


def test_a_corrected_picture_stays_corrected() -> None:
    builtin = Builtin()
    carried = builtin.open(Opening("silk", seed=3), SIZE, KEEPER)
    ask = Ask(0, 2, seed=5, fps=FPS, prompt="silk")
    corrected = replace(carried, frames=(carried.frames // 2).astype(np.uint16))
    plain, dimmed = (builtin.extend(each, ask, KEEPER).frames[0].mean() for each in (carried, corrected))
    assert dimmed < 0.75 * plain


def test_a_large_picture_given_is_sharp_at_first_and_nothing_jumps() -> None:
    size = (1280, 720)  # larger than the sheet that is painted on
    random = np.random.default_rng(1)
    whole = cv2.resize(random.integers(0, 65535, (90, 160, 3), np.uint16), size, interpolation=cv2.INTER_CUBIC)
    rough = (whole // 4 + 24000).astype(np.uint16)
    builtin = Builtin()
    carried = builtin.open(Opening(pictures=rough[None], seed=1), size, KEEPER)
    clip = builtin.extend(carried, Ask(0, 2, seed=2, fps=Fraction(60)), KEEPER)
    change = np.abs(to8(clip.frames[0]).astype(int) - to8(rough)).mean()
    assert change < 6
    assert cv2.Laplacian(to8(clip.frames[1]), cv2.CV_32F).var() > 0.6 * cv2.Laplacian(to8(rough), cv2.CV_32F).var()


def test_mirrors_show_the_same_on_both_sides() -> None:
    x, y = places((40, 22), (400, 220))
    folded = Folded(x, y, 1)
    np.testing.assert_allclose(folded.x, folded.x[:, ::-1], atol=1e-5)
    right, down = Currents(5, (400, 220), 3.0, folds=1).at(12.5)
    np.testing.assert_allclose(right, -right[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(down, down[:, ::-1], atol=1e-4)


def test_a_hand_belongs_to_its_prompt() -> None:
    assert hand_of("Snow ") == hand_of("snow")
    assert hand_of("a neon jellyfish").folds == 1
    assert hand_of("fire").rise > 0 > hand_of("snow").rise
    assert hand_of("qwertz") != hand_of("asdf")
