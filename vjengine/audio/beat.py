"""The beat tracker: causal, locked in tempo and phase, and calm.

Onset strength of three registers goes in hop by hop. A tempogram proposes a tempo, a fold over beat trains finds the
phase, and a slow loop keeps both true; only lasting and clearly better evidence makes the clock jump. Everything inside
counts in frames (hops); session time enters and leaves at the edge, smoothed, because device time stamps jitter.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.bar import BarTracker
from vjengine.audio.flux import REGISTERS
from vjengine.audio.phase import Fit, best_strength, fold, refine, smooth, turns
from vjengine.audio.taps import TapTempo
from vjengine.audio.tempo import MEMORY, Doubles, Tempogram
from vjengine.core.events import Resync, Tap, TempoEvent, TempoNudge, TempoRange, TempoScale
from vjengine.core.signals import BeatClock

log = logging.getLogger(__name__)

_UPDATE = 0.2
_FIRST_LOOK = 2.0
_SILENCE_STOPS = 2.0
_SILENCE_FORGETS = 12.0
_TEMPO_WEIGHTS: Doubles = np.array([1.0, 0.8, 0.5])
_PHASE_WEIGHTS: Doubles = np.array([1.0, 0.8, 0.3])
_PHASE_MEMORY = 3.0
_BACKBEAT_SHARE = 1.0
_BLUR = 0.010
_TEMPO_STEP = 0.011
_PERSIST_FIRST = 2
_PERSIST_LOST = 2
_PERSIST_TEMPO = 3
_PERSIST_PHASE = 4
_PERSIST_RELATED = 15
_OCTAVES = (0.5, 2.0)
_THIRDS = (2 / 3, 3 / 2, 3 / 4, 4 / 3)
_KICKS_GONE = 0.6
_LOST_WINDOW = 2.8
_ENERGY_MEMORY = 40.0


class BeatTracker:
    """Follows the beat of a stream of onset strengths.

    ``step`` is the time between frames in s, ``low``–``high`` the accepted tempos in BPM, ``latency`` how long after an
    attack its onset strength peaks, in s.
    """

    def __init__(self, step: float, low: float, high: float, latency: float) -> None:
        self._step = step
        self._latency = latency
        self._coarse = max(1, round(_TEMPO_STEP / step))
        self._tempogram = Tempogram(step * self._coarse, low, high)
        self._size = round(MEMORY / step)
        self._tape = np.zeros((REGISTERS, 2 * self._size), np.float32)
        self._end = 0
        self._filled = 0
        self._fresh: list[Sequence[float]] = []
        self._frame = -1
        self._offset: float | None = None
        self._every = max(1, round(_UPDATE / step))
        self._anchor = 0.0
        self._period = 0.5 / step
        self._count = 0
        self._locked = False
        self._locked_at = 0
        self._confidence = 0.0
        self._nudge = 0.0
        self._rival = 0.0
        self._rival_seen = 0
        self._rival_phase = 0.0
        self._rival_phase_seen = 0
        self._energy = self._low_energy = 0.0
        self._kicks = 1.0
        self._clarity = 0.0
        self._hit = 0.0
        self._missed = 0
        self._turn = False
        self._quiet = 0
        self._taps = TapTempo()
        self._bar = BarTracker()
        self._accented = 0
        self._floor = 0
        self._clock = BeatClock()

    def process(self, registers: Sequence[float], time: float, silent: bool) -> BeatClock:
        """Take one frame's three onset strengths, heard up to session ``time`` s; return the clock as now known."""
        self._advance_time(time)
        self._push(registers)
        if silent:
            self._hush()
        else:
            self._wake()
        if self._frame % self._every == 0 and self._filled * self._step >= _FIRST_LOOK and not silent:
            self._update()
        if self._locked:
            self._pass_beats()
        return self._clock

    # -- time ----------------------------------------------------------------------------------------------------

    def _advance_time(self, time: float) -> None:
        """Count the frame, and keep the offset between frames and session time; a gap is filled with quiet frames."""
        self._frame += 1
        measured = time - self._frame * self._step
        if self._offset is None:
            self._offset = measured
            return
        jump = measured - self._offset
        if abs(jump) > 0.06:
            lost = round(jump / self._step)
            if lost > 0:
                for _ in range(min(lost, self._size)):
                    self._push((0.0,) * REGISTERS)
                self._frame += lost
            self._offset = time - self._frame * self._step
            self._publish()
            return
        self._offset += jump * min(1.0, self._step / 2.0)

    def _push(self, registers: Sequence[float]) -> None:
        self._fresh.append(registers)
        if self._filled < self._size:
            self._filled += 1

    def _history(self) -> NDArray[np.float32]:
        """Return the onset strengths kept, ``(3, n)``, oldest first."""
        fresh = self._fresh[-self._size :]
        if fresh:
            tape, end = self._tape, self._end
            if end + len(fresh) > tape.shape[1]:
                keep = self._size - len(fresh)
                tape[:, :keep] = tape[:, end - keep : end].copy()
                end = keep
            self._end = end + len(fresh)
            tape[:, end : self._end] = np.array(fresh, np.float32).T
            self._fresh.clear()
        return self._tape[:, self._end - self._filled : self._end]

    def _coarsened(self, history: NDArray[np.float32]) -> NDArray[Any]:
        """Return ``history`` at the tempogram's step, which a tempo needs no finer than that."""
        if self._coarse == 1:
            return history
        count = history.shape[1] // self._coarse
        start = history.shape[1] - count * self._coarse
        total = history[:, start :: self._coarse].astype(np.float64)
        for part in range(1, self._coarse):
            total += history[:, start + part :: self._coarse]
        return total

    def _to_frame(self, time: float) -> float:
        """Return the frame whose onset strength shows what was played at session ``time`` s."""
        return (time + self._latency - self._nudge - (self._offset or 0.0)) / self._step

    def _to_time(self, frame: float) -> float:
        return frame * self._step + (self._offset or 0.0) - self._latency + self._nudge

    # -- silence -------------------------------------------------------------------------------------------------

    def _hush(self) -> None:
        self._quiet += 1
        if self._quiet == round(_SILENCE_STOPS / self._step):
            self._confidence *= 0.5
            self._publish()
        if self._quiet == round(_SILENCE_FORGETS / self._step):
            # What comes next may be anything; the count goes on, the beat does not.
            self._locked = False
            self._filled = 0
            self._confidence = 0.0
            self._publish()

    def _wake(self) -> None:
        if self._quiet:
            stopped = self._quiet * self._step >= _SILENCE_STOPS
            self._quiet = 0
            if stopped:
                self._filled = min(self._filled, 1)
                self._publish()

    # -- tracking ------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        """Look again, tempo and phase by turns, so that no hop carries the whole work."""
        self._turn = not self._turn
        history = self._history()
        combined = smooth(_PHASE_WEIGHTS @ history, _BLUR / self._step)
        self._energy = max(float(combined.mean()), self._energy * (1 - _UPDATE / _ENERGY_MEMORY))
        recent = combined[-round(2.0 / self._step) :]
        presence = min(1.0, 2.0 * float(recent.mean()) / (self._energy + 1e-9))
        low = float(history[0].mean())
        self._low_energy = max(low, self._low_energy * (1 - _UPDATE / _ENERGY_MEMORY))
        self._kicks = float(history[0, -recent.size :].mean()) / (self._low_energy + 1e-9)
        if self._turn or not self._locked:
            lost = self._locked and self._is_lost(combined, presence)
            window = history[:, -round(_LOST_WINDOW / self._step) :] if lost else history
            salience = self._tempogram.salience(self._coarsened(window), _TEMPO_WEIGHTS)
            if not self._locked:
                self._consider_first(combined, salience)
            else:
                self._consider_tempo(combined, salience, presence, lost)
        else:
            self._consider_phase(combined, presence)
            self._follow(combined, presence)
        self._publish()

    def _is_lost(self, combined: Doubles, presence: float) -> bool:
        """Tell whether the beats of the last second fell where nothing sounds, though the drums play."""
        own = (self._frame - self._anchor) % self._period
        hit = best_strength(combined, self._period, own, 1.0 / self._step, 0.04 / self._step)
        missed = hit < 0.55 * self._hit and presence > 0.5
        self._missed = self._missed + 1 if missed else 0
        if not missed:
            self._hit += 0.06 * presence * (hit - self._hit)
        return self._missed >= 2

    def _seen(self, tempo: float) -> int:
        """Count how often in a row about the same rival tempo turned up."""
        near = abs(tempo / self._rival - 1) < 0.03 if self._rival else False
        self._rival_seen = self._rival_seen + 1 if near else 1
        self._rival = tempo
        return self._rival_seen

    def _consider_first(self, combined: Doubles, salience: Doubles) -> None:
        best = int(np.argmax(salience * self._tempogram.prior()))
        if salience[best] < 0.15:
            self._rival_seen = 0
        elif self._seen(float(self._tempogram.tempos[best])) >= _PERSIST_FIRST:
            self._lock(combined, float(self._tempogram.tempos[best]))

    def _consider_tempo(self, combined: Doubles, salience: Doubles, presence: float, lost: bool) -> None:
        """Change the tempo if another explains the recent past clearly better for a while."""
        tempos = self._tempogram.tempos
        score = salience * self._tempogram.prior()
        best = int(np.argmax(score))
        tempo = float(tempos[best])
        current = 60.0 / (self._period * self._step)
        near = np.abs(tempos / current - 1) < 0.025
        mine = float(score[near].max()) if near.any() else 0.0
        own = float(salience[near].max()) if near.any() else 0.0
        self._clarity = max(own, self._clarity * (1 - 2 * _UPDATE / _ENERGY_MEMORY))
        margin = 1.0 if lost else 1.2
        # A build takes the kick away and rolls the snare: no time to learn a tempo.
        clear = salience[best] > max(0.15, 0.4 * self._clarity) and presence > 0.35 and self._kicks > _KICKS_GONE
        # Half or double of what the performer chose is a matter of taste, and the performer has spoken.
        chosen = self._tempogram.focus is not None and abs(abs(math.log2(tempo / current)) - 1.0) < 0.06
        if abs(tempo / current - 1) < 0.03 or score[best] < margin * mine + 0.01 or not clear or chosen:
            self._rival_seen = 0
        elif self._seen(tempo) >= self._patience(tempo / current, lost):
            log.debug("tempo %.1f to %.1f BPM", current, tempo)
            self._lock(combined, tempo)

    def _patience(self, ratio: float, lost: bool) -> int:
        """Return how often in a row a tempo ``ratio`` times the present one must win.

        Rolls and builds suggest halves, doubles and thirds of a tempo that is still there: against those, a tempo that
        has held for long is given the longest benefit of the doubt.
        """
        held = (self._frame - self._locked_at) * self._step
        if any(abs(ratio / related - 1.0) < 0.03 for related in _THIRDS):
            return min(_PERSIST_RELATED, _PERSIST_TEMPO + int(held / 4.0))
        if any(abs(ratio / related - 1.0) < 0.03 for related in _OCTAVES):
            return min(_PERSIST_RELATED, _PERSIST_TEMPO + int(held / 8.0))
        return _PERSIST_LOST if lost else _PERSIST_TEMPO

    def _lock(self, combined: Doubles, tempo: float) -> None:
        """Take ``tempo`` (BPM) and the phase that fits the recent past best."""
        period = 60.0 / tempo / self._step
        fit = self._best_fit(combined, period, 0.02)
        self._period = fit.period
        self._rival_seen = self._rival_phase_seen = self._missed = 0
        self._clarity = 0.0
        self._confidence = max(0.3, fit.contrast)
        self._hit = 0.7 * best_strength(combined, period, fit.phase, 1.0 / self._step, 0.04 / self._step)
        self._jump(self._frame - fit.phase)
        self._locked = True
        self._locked_at = self._frame
        self._bar.restart()

    def _phases(self, combined: Doubles, period: float) -> tuple[Doubles, Doubles]:
        """Return phases in frames and how much speaks for each: what falls on its beats, and a backbeat there."""
        memory = _PHASE_MEMORY / self._step
        phases, strength = fold(combined, period, memory)
        low, middle = (smooth(row.astype(np.float64), _BLUR / self._step) for row in self._history()[:2])
        return phases, strength + _BACKBEAT_SHARE * turns(low, middle, period, memory)

    def _best_fit(self, combined: Doubles, period: float, stretch: float) -> Fit:
        memory = _PHASE_MEMORY / self._step
        phases, strength = self._phases(combined, period)
        phase = float(phases[int(np.argmax(strength))])
        return refine(combined, period, phase, memory, period / 24, stretch)

    def _consider_phase(self, combined: Doubles, presence: float) -> None:
        """Jump to another phase if that explains the recent past better for a while."""
        phases, strength = self._phases(combined, self._period)
        own = (self._frame - self._anchor) % self._period
        apart = np.abs((phases - own + 0.5 * self._period) % self._period - 0.5 * self._period) / self._period
        mine = float(strength[apart < 0.1].max())
        best = int(np.argmax(strength))
        if apart[best] < 0.12 or strength[best] < 1.2 * mine or presence < 0.35:
            self._rival_phase_seen = 0
            return
        self._rival_phase_seen += 1
        if self._rival_phase_seen >= _PERSIST_PHASE:
            self._rival_phase_seen = 0
            fit = self._best_fit(combined, self._period, 0.005)
            log.debug("phase jump at frame %d", self._frame)
            self._period = fit.period
            self._jump(self._frame - fit.phase)

    def _follow(self, combined: Doubles, presence: float) -> None:
        """Let the loop follow: a share of the phase error now, a smaller share of the period's."""
        own = (self._frame - self._anchor) % self._period
        memory = _PHASE_MEMORY / self._step
        fit = refine(combined, self._period, own, memory, 0.1 * self._period, 0.01)
        trust = min(1.0, 2.0 * fit.contrast) * presence
        target = min(1.0, 1.6 * fit.contrast) * presence
        self._confidence += (target - self._confidence) * (0.28 if target > self._confidence else 0.12)
        if fit.contrast < 0.1:
            return
        self._anchor -= 0.44 * trust * (fit.phase - own)
        self._period += 0.36 * trust * (fit.period - self._period)

    # -- the clock -----------------------------------------------------------------------------------------------

    def _jump(self, beat: float) -> None:
        """Put a beat at frame ``beat`` without ever counting a beat twice."""
        before = self._count + (self._frame - self._anchor) / self._period if self._locked else float(self._count)
        back = math.floor((self._frame - beat) / self._period)
        self._anchor = beat + back * self._period
        inside = (self._frame - self._anchor) / self._period
        self._count = math.floor(before)
        if self._count + inside < before - 0.5:
            self._count += 1
        self._count = max(self._count, self._floor)

    def _pass_beats(self) -> None:
        """Move the anchor to the newest beat and give the bar tracker each beat's accent."""
        if self._frame - self._anchor < self._period:
            return
        self._anchor += self._period
        self._count += 1
        self._floor = max(self._floor, self._count)
        if not self._quiet:
            self._bar.add(self._count - 1, self._history(), self._frame - self._anchor + self._period, self._step)
        self._publish()

    def _publish(self) -> None:
        running = self._locked and self._quiet * self._step < _SILENCE_STOPS
        self._clock = BeatClock(
            anchor=self._to_time(self._anchor),
            period=self._period * self._step,
            count=self._count,
            downbeat=self._bar.downbeat,
            confidence=min(1.0, max(0.0, self._confidence)) if running else 0.0,
            running=running,
        )

    # -- the performer -------------------------------------------------------------------------------------------

    def apply(self, event: TempoEvent) -> None:
        """Obey a correction by the performer; one that makes no sense is logged and ignored."""
        if isinstance(event, Tap):
            self._tap(event.time)
        elif isinstance(event, Resync):
            self._resync(event.time)
        elif isinstance(event, TempoScale):
            self._scale(event.factor)
        elif isinstance(event, TempoNudge):
            if math.isfinite(event.milliseconds):
                self._nudge = max(-1.0, min(1.0, self._nudge + event.milliseconds / 1000.0))
        elif isinstance(event, TempoRange):
            self._range(event.low, event.high)
        self._publish()

    def _tap(self, time: float) -> None:
        tapped = self._taps.add(time)
        if tapped is None:
            return
        period, beat = tapped
        self._period = period / self._step
        self._include(60.0 / period)
        self._tempogram.focus = 60.0 / period
        self._jump(self._to_frame(beat))
        self._locked = True
        self._confidence = max(self._confidence, 0.5)
        self._rival_seen = self._rival_phase_seen = 0

    def _resync(self, time: float) -> None:
        if not self._locked:
            return
        at = self._to_frame(time)
        beats = (at - self._anchor) / self._period
        if abs(beats - round(beats)) > 0.22:
            # The performer hears the beat elsewhere: believe it, and let the loop find the exact place.
            self._jump(at)
            beats = (at - self._anchor) / self._period
            self._rival_phase_seen = -15
        self._bar.resync(self._count + round(beats))

    def _scale(self, factor: float) -> None:
        if not (math.isfinite(factor) and factor > 0) or not self._locked:
            return
        tempo = 60.0 / (self._period * self._step) * factor
        if not 20.0 <= tempo <= 400.0:
            log.info("tempo scale to %.0f BPM ignored", tempo)
            return
        inside = self._frame - self._anchor
        self._period /= factor
        self._include(tempo)
        self._tempogram.focus = tempo
        self._jump(self._frame - inside % self._period)
        self._rival_seen = self._rival_phase_seen = 0

    def _include(self, tempo: float) -> None:
        grid = self._tempogram
        if not grid.low <= tempo <= grid.high:
            grid.set_range(min(grid.low, tempo * 0.97), max(grid.high, tempo * 1.03))

    def _range(self, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and 20.0 <= low < high <= 400.0):
            log.warning("tempo range %s-%s ignored: expected 20 <= low < high <= 400 BPM", low, high)
            return
        self._tempogram.set_range(low, high)
        self._tempogram.focus = None
        tempo = 60.0 / (self._period * self._step)
        for factor in (2.0, 0.5):
            if self._locked and not low <= tempo <= high and low <= tempo * factor <= high:
                self._scale(factor)
                self._tempogram.focus = None
