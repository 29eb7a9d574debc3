"""The analyser: a hop of samples in, :class:`~vjengine.core.signals.AudioFeatures` out.

Pure: no clock, no thread, no device. Live and offline run this very code, so a render sees what the stage saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vjengine.audio.bands import Spectrum
from vjengine.audio.beat import BeatTracker
from vjengine.audio.flux import REGISTERS, Flux
from vjengine.audio.gain import GainControl, SilenceGate
from vjengine.audio.onset import HitDetector, OnsetDetector
from vjengine.core.events import TempoEvent
from vjengine.core.signals import AudioFeatures

Floats = NDArray[np.float32]
Number = TypeVar("Number", int, float)

_SHOWN_REFERENCE = 0.7
_FAST_RISE, _FAST_FALL = 0.006, 0.03
_SLOW = 1.0
_LOUDNESS_FALL = 0.06
_DC = 0.5
_LIMIT = 4.0
_ATTACK_LATENCY = 0.010
"""s from an attack's first sample to the peak of its onset strength, measured on drums at hops of 128 to 512."""


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """Everything that changes what the analyser says; part of the cache's key.

    Attributes:
        sample_rate: Hz, 32000–192000.
        hop: samples a step, 64–2048.
        tempo_low, tempo_high: accepted tempos, BPM.
        sensitivity: of onsets and hits, 0.2–5; higher finds more.
        silence_db: below this RMS level (dBFS) nothing fires.
    """

    sample_rate: int = 48000
    hop: int = 256
    tempo_low: float = 70.0
    tempo_high: float = 180.0
    sensitivity: float = 1.0
    silence_db: float = -60.0

    def __post_init__(self) -> None:
        checks = (
            ("sample_rate", self.sample_rate, 32000, 192000),
            ("hop", self.hop, 64, 2048),
            ("tempo_low", self.tempo_low, 20, self.tempo_high),
            ("tempo_high", self.tempo_high, self.tempo_low * 1.02, 400),
            ("sensitivity", self.sensitivity, 0.2, 5),
            ("silence_db", self.silence_db, -100, -10),
        )
        for name, value, low, high in checks:
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} = {value}: expected {low:g} to {high:g}")

    @property
    def step(self) -> float:
        """Length of a hop in s."""
        return self.hop / self.sample_rate


class Analyser:
    """Turns hops of mono samples into features.

    Raises:
        MissingDependency: aubio is not installed.
    """

    def __init__(self, settings: AnalysisSettings | None = None) -> None:
        self.settings = settings = settings or AnalysisSettings()
        step = settings.step
        self._spectrum = Spectrum(settings.sample_rate, settings.hop)
        self._flux = Flux(step)
        self._gain = GainControl(step)
        self._gate = SilenceGate(step, settings.silence_db)
        self._hits = HitDetector(step, settings.sensitivity)
        self._onset = OnsetDetector(settings.sample_rate, settings.hop, settings.sensitivity)
        self._beat = BeatTracker(step, settings.tempo_low, settings.tempo_high, _ATTACK_LATENCY)
        self._block = np.zeros(settings.hop, np.float32)
        self._nothing = [0.0] * REGISTERS
        self._centroid = self._flatness = 0.0
        self._fast = [0.0] * 6
        self._slow = [0.0] * 6
        self._rise = 1.0 - math.exp(-step / _FAST_RISE)
        self._fall = 1.0 - math.exp(-step / _FAST_FALL)
        self._creep = 1.0 - math.exp(-step / _SLOW)
        self._rms = self._peak = 0.0
        self._loudness_fall = 1.0 - math.exp(-step / _LOUDNESS_FALL)
        self._dc = 0.0
        self._dc_share = 1.0 - math.exp(-step / _DC)
        self._average = np.full(settings.hop, 1.0 / settings.hop, np.float32)
        slope = np.linspace(0.0, 1.0, settings.hop, dtype=np.float32)
        self._slope = np.stack([np.ones_like(slope), slope], axis=1)
        self._offsets = np.zeros(2, np.float32)
        self._hop = -1
        self._onset_count = 0
        self._onset_strength = 0.0
        self._last_onset = -1.0

    def process(self, block: Floats, time: float) -> AudioFeatures:
        """Take the next ``(hop,)`` mono float32 samples, the last of which was played at session ``time`` s.

        Samples that are not finite count as 0 and the rest is limited to ±4.

        Raises:
            ValueError: the block has another length than ``settings.hop``.
        """
        if block.shape != self._block.shape:
            raise ValueError(f"block of shape {block.shape}: expected ({self.settings.hop},) samples, mono")
        self._hop += 1
        clean, peak = self._clean(block)
        power = float(clean.dot(clean)) / clean.size
        silent = self._gate.process(power, self._gain.loudness_db)
        spectrum = self._spectrum
        spectrum.process(clean)
        registers = self._flux.process(spectrum.narrow)
        if not silent:
            self._gain.process([power, *[band * band for band in spectrum.bands]])
        levels = self._levels(silent)
        self._hits.process(levels, silent)
        self._follow(levels, power, peak, silent)
        flux = 0.0 if silent else min(1.0, max(registers) * 2.5)
        self._look_for_onset(clean, time, silent, flux)
        self._describe(silent)
        beat = self._beat.process(self._nothing if silent else registers, time, silent)
        return AudioFeatures(
            time=time,
            hop=self._hop,
            rms=self._rms,
            peak=self._peak,
            raw_rms=math.sqrt(power),
            bands=_six(self._fast),
            bands_slow=_six(self._slow),
            hits=_six(self._hits.values),
            hit_counts=_six(self._hits.counts),
            centroid=self._centroid,
            flatness=self._flatness,
            flux=flux,
            onset_strength=self._onset_strength,
            onset_count=self._onset_count,
            last_onset=self._last_onset,
            silent=silent,
            gain_db=self._gain.gain_db,
            beat=beat,
        )

    def apply(self, event: TempoEvent) -> None:
        """Obey a performer's correction of the beat clock; it shows in the next hop's features."""
        self._beat.apply(event)

    def _clean(self, block: Floats) -> tuple[Floats, float]:
        """Return the block without junk and without its direct current, and its largest sample."""
        clean = self._block
        high, low = float(block[block.argmax()]), float(block[block.argmin()])
        # NaN counts as the largest and fails every comparison, so it too is caught here.
        if not (high <= _LIMIT and low >= -_LIMIT):
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            np.clip(block, -_LIMIT, _LIMIT, out=block)
            high, low = float(block.max()), float(block.min())
        before = self._dc
        change = self._dc_share * (float(self._average.dot(block)) - before)
        self._dc = now = before + change
        # A slope from the old to the new value: a step at every hop would be a buzz.
        pair = self._offsets
        pair[0], pair[1] = before, change
        np.dot(self._slope, pair, clean)
        np.subtract(block, clean, clean)
        return clean, max(high - now, now - low)

    def _levels(self, silent: bool) -> list[float]:
        """Return each band's amplitude over its reference, which is shown as 0.7."""
        if silent:
            return [0.0] * 6
        references = self._gain.references
        return [
            band * _SHOWN_REFERENCE / reference
            for band, reference in zip(self._spectrum.bands, references[1:], strict=True)
        ]

    def _describe(self, silent: bool) -> None:
        """Bring centroid and flatness up to date: they move slowly, so every second hop is enough."""
        if silent:
            self._centroid = self._flatness = 0.0
        elif self._hop % 2 == 0:
            self._centroid = self._spectrum.centroid()
            self._flatness = self._spectrum.flatness()

    def _follow(self, levels: list[float], power: float, peak: float, silent: bool) -> None:
        quick, steady = self._fast, self._slow
        for band, level in enumerate(levels):
            if level > 1.0:
                level = 1.0
            fast, slow = quick[band], steady[band]
            quick[band] = fast + (self._rise if level > fast else self._fall) * (level - fast)
            steady[band] = slow + self._creep * (level - slow)
        scale = 0.0 if silent else 10.0 ** (self._gain.gain_db / 20.0)
        rms = min(1.0, math.sqrt(power) * scale)
        self._rms += (1.0 if rms > self._rms else self._loudness_fall) * (rms - self._rms)
        # A crest of 12 dB over the reference fills the scale.
        self._peak = min(1.0, peak * scale * 0.36)

    def _look_for_onset(self, block: Floats, time: float, silent: bool, flux: float) -> None:
        age = self._onset.process(block)
        if age is None or silent:
            return
        at = time - age
        if at - self._last_onset < 0.02 and self._onset_count:
            return
        self._onset_count += 1
        self._last_onset = at
        self._onset_strength = min(1.0, 0.3 + 0.7 * max(flux, *self._hits.values))


def _six(values: list[Number]) -> tuple[Number, Number, Number, Number, Number, Number]:
    a, b, c, d, e, f = values
    return a, b, c, d, e, f
