"""Loops of the engine itself: its turbo generator, and the compositor's trail zooming into itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from benchmarks.collapse_loops import FPS, LEAD_IN, turned, warped
from benchmarks.collapse_scenes import Picture, Size, scene
from vjengine.core.clock import FrameTime
from vjengine.core.frame import Frame, frozen_pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import ParamValues
from vjengine.generate.base import GeneratorSpec, Option, Resumable
from vjengine.resources import resource_dir

TURBO_SIZE: Size = (128, 64)


UNDER_WAY = 40
"""Frames that it draws before it is looked at: a model with random weights makes of any start what it likes."""


class TurboLoop:
    """The turbo generator with random weights: after a second its seed stops travelling, and its noise with it.

    It freezes as every such loop does, and corrections are made where they are made in a show: on the device. But
    random weights dream of no scene: each noise has another palette, and there is none to hold. So this one is a check
    of the machinery; the loop that is judged is :class:`benchmarks.collapse_dream.DreamLoop`.
    A picture that somebody else changed is given to the generator as if it had drawn it.
    """

    anew = 0

    def __init__(self, start: str, seed: int = 1) -> None:
        from vjengine.generate.registry import create_generator

        self._start = scene(start, TURBO_SIZE, seed)
        options: dict[str, Option] = {"model": "random:tiny", "rung": "eager", "device": "cpu", "threads": 1.0}
        self._generator = create_generator(GeneratorSpec("turbo", TURBO_SIZE, seed, options))
        self._values = ParamValues.of(
            {
                "turbo.strength": 0.3,
                "turbo.seed_travel": 0.5,
                "turbo.feedback": 0.0,
                "gen.drift": 0.1,
                "gen.rotate": 0.004,
            }
        )
        self._shown: Picture | None = None
        self._left = 0

    def begin(self, again: int = 0) -> Picture:
        """Give the generator the start picture, turned over ``again`` times, and let it draw until it is itself."""
        self._shown, self._left = None, LEAD_IN + UNDER_WAY
        picture = turned(self._start, again)
        for number in range(UNDER_WAY):
            picture = self.step(picture, GeneratorParams(sequence=number + 1, time=(number - UNDER_WAY) / FPS))
        return picture

    def step(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Draw the next one."""
        if picture is not self._shown:
            self._resume(picture)
        values = self._values if self._left > 0 else self._values.replaced({"turbo.seed_travel": 0.0})
        self._left -= 1
        told = replace(params, values=values, travel=params.time)
        pixels = self._generator.generate(told)
        self._shown = pixels[..., :3].astype(np.float32) / np.float32(255.0)
        return self._shown

    def moved(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Return it as it is: it moves by less than the 4 px that are looked at."""
        return picture

    def _resume(self, picture: Picture) -> None:
        assert isinstance(self._generator, Resumable)
        shown = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
        self._generator.resume(np.dstack((shown, np.full(shown.shape[:2], 255, np.uint8))))

    def close(self) -> None:
        """Give the model back."""
        self._generator.close()


ZOOM_SIZE: Size = (192, 108)


class ZoomLoop:
    """The compositor's trail at its longest, zooming into itself over a source that moves.

    The programme is the picture; nobody can change it from outside. With ``keep`` the trail is looked after as in
    a render.
    """

    def __init__(self, start: str, seed: int = 1, keep: bool = False) -> None:
        from vjengine.compose.compositor import Compositor
        from vjengine.compose.context import offscreen_context
        from vjengine.core.exchange import EventQueue
        from vjengine.core.reducer import initial_state
        from vjengine.engine.options import PictureOptions
        from vjengine.engine.setup import load_show
        from vjengine.engine.trail import TrailKeeper

        self._start = scene(start, ZOOM_SIZE, seed)
        self._source = self._start
        self._ctx = offscreen_context()
        show = load_show(PictureOptions())
        self._watch = TrailKeeper(EventQueue(), show, live=False) if keep else None
        shaders = resource_dir("shaders")
        self._compositor = Compositor(self._ctx, ZOOM_SIZE, shaders, hot_reload=False, watch=self._watch)
        self._compositor.flash_limit = False
        self._values = ParamValues.of(
            {
                "feedback.mix": 1.0,
                "feedback.half_life": 8.0,
                "stabilise.trail": 1.0,
                "feedback.zoom": 0.15,
                "feedback.rotate": 0.01,
                "mix.crossfade": 0.0,
                "bloom.amount": 0.0,
                "grain.amount": 0.0,
                "vignette.amount": 0.0,
            }
        )
        self._control = replace(initial_state(show), values=self._values, smoothed=self._values)
        self._clear = 0

    @property
    def anew(self) -> int:
        """Counts fresh starts of the trail."""
        return 0 if self._watch is None else self._watch.correction().restart

    def begin(self, again: int = 0) -> Picture:
        """Wipe the trail and turn the source over."""
        self._source = turned(self._start, again)
        self._clear += 1
        return self._source

    def step(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Draw the programme once; ``picture`` is not looked at."""
        width, height = ZOOM_SIZE
        turn, zoom = 10.0 * np.sin(0.02 * params.sequence), 1.2 + 0.1 * np.sin(0.03 * params.sequence)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
        source = np.rint(np.clip(warped(self._source, matrix), 0.0, 1.0) * 255.0).astype(np.uint8)
        pixels = frozen_pixels(np.dstack((source, np.full(source.shape[:2], 255, np.uint8))))
        frame = Frame(pixels, params.sequence, params.sequence, params.time, params.time, "benchmark")
        time = FrameTime(params.sequence, params.time, 1.0 / FPS)
        control = replace(self._control, time=time, clear=self._clear)
        texture = self._compositor.render(control, frame)
        rows = np.frombuffer(texture.read(), np.uint8).reshape(height, width, 4)[::-1, :, :3]
        return rows.astype(np.float32) / np.float32(255.0)

    def moved(self, picture: Picture, params: GeneratorParams) -> Picture:
        """Return it as it is: the trail and what feeds it move each in their own way, and little."""
        return picture

    def close(self) -> None:
        """Free what lives on the graphics card."""
        self._compositor.release()
        self._ctx.release()
