"""From a track, options and a score to a render: listen if need be, lay the score on the track, build the engine."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from vjengine.audio.features import AnalysisSettings
from vjengine.audio.files import probe, samples_of, track_duration
from vjengine.audio.track import TrackAnalysis, analyse_pieces
from vjengine.core.looks import Look
from vjengine.engine.offline import OfflineEngine, Progress
from vjengine.engine.options import RenderOptions
from vjengine.engine.setup import load_show
from vjengine.offline import disk
from vjengine.offline.album.hearing import hear
from vjengine.offline.preview.waveform import Mark, Span
from vjengine.offline.score.curves import told, typed
from vjengine.offline.score.model import Score
from vjengine.offline.score.music import BeatGrid, Music
from vjengine.offline.score.player import ScorePlayer
from vjengine.offline.score.timeline import Timeline, plan_score

MOST_CUES_DRAWN = 400


@dataclass(frozen=True)
class Staged:
    """A render that is ready to begin.

    Attributes:
        options: with the look that the score begins with.
        timeline: what happens when; None without a score.
        analysis: what was heard in the track; None if nobody had to listen.
        looks: of the show.
    """

    options: RenderOptions
    timeline: Timeline | None = None
    analysis: TrackAnalysis | None = None
    looks: Mapping[str, Look] | None = None

    def engine(
        self,
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
        say: Callable[[str], None] = lambda words: None,
    ) -> OfflineEngine:
        """Return an engine that renders it."""
        return OfflineEngine(self.options, progress=progress, say=say, conductor=self.player())

    def player(self) -> ScorePlayer | None:
        """Return who plays the score from the film's first frame on; None without a score."""
        if self.timeline is None:
            return None
        return ScorePlayer(self.timeline, self.looks or {}, self.options.start)


def stage(options: RenderOptions, score: Score | None, analysis: TrackAnalysis | None = None) -> Staged:
    """Return ``options`` with ``score`` laid on the track.

    Args:
        options: of the render.
        score: what happens; None for none.
        analysis: of the whole track, if ``score.listens``, see :func:`listen`.

    Raises:
        VJError: if track, looks or score are wrong.
    """
    if score is None:
        return Staged(options, analysis=analysis)
    show = load_show(options.picture)
    music = music_of(options.track, score, analysis)
    timeline = plan_score(score, music, show.looks, show.macros, options.picture.look)
    first = replace(options.picture, look=timeline.look_at(options.start + 1e-7))
    known = prompts_ahead(timeline, options.start)
    return Staged(replace(options, picture=first, prompts=known), timeline, analysis, show.looks)


def prompts_ahead(timeline: Timeline, start: float = 0.0) -> tuple[str, ...]:
    """Return the prompts that a film from ``start`` (s into the track) on will want, each once, in order of time.

    A generator takes some pictures to read a prompt: told of at its cue alone, it would come late.
    """
    wanted = [(max(scene.start, start), typed(scene.prompt)) for scene in timeline.scenes if scene.end > start]
    ends = (*(key.time for key in timeline.prompts[1:]), math.inf)
    for key, end in zip(timeline.prompts, ends, strict=False):
        if end > start:
            wanted.append((max(key.time, start), typed(key.pieces)))
    return tuple(dict.fromkeys(text for _, text in sorted(wanted, key=itemgetter(0)) if text))


def music_of(track: Path, score: Score, analysis: TrackAnalysis | None) -> Music:
    """Return beats and sections of the track: as heard, or as the score's tempo says."""
    if analysis is None and score.listens:
        analysis = listen(track)
    music = Music.of(analysis) if analysis is not None else Music(track_duration(track))
    if score.tempo is not None:
        music = replace(music, grid=BeatGrid.steady(score.tempo, score.first_bar))
    return music


def kept_folder() -> Path:
    """Return where what was heard is kept: ``$VJENGINE_HEARD``, else in the user's cache."""
    import platformdirs

    given = os.environ.get("VJENGINE_HEARD")
    return Path(given) if given else Path(platformdirs.user_cache_dir("vjengine", appauthor=False)) / "heard"


def listen(track: Path, progress: Callable[[float], None] | None = None, *, cache: Path | None = None) -> TrackAnalysis:
    """Listen to the whole of ``track``, piece by piece; ``progress`` is told the share done, 0-1.

    ``cache`` is a folder to look in first.

    Raises:
        UnreadableAudio: if it cannot be read.
    """
    settings = AnalysisSettings()
    if cache is not None:
        return hear(track, disk.file_hash(track), settings=settings, cache=cache, progress=progress).analysis
    return analyse_pieces(samples_of(track, settings.sample_rate), probe(track).duration, settings, progress)


def lanes_and_marks(timeline: Timeline) -> tuple[dict[str, list[Span]], list[Mark]]:
    """Return what of a score is drawn below a waveform: scenes and prompts, and cues."""
    end = timeline.music.duration
    lanes: dict[str, list[Span]] = {}
    if timeline.scenes:
        lanes["scenes"] = [Span(s.start, s.end, f"{s.name} ({s.look})") for s in timeline.scenes]
    if timeline.prompts:
        ends = [*(key.time for key in timeline.prompts[1:]), end]
        lanes["prompts"] = [Span(k.time, z, told(k.pieces)) for k, z in zip(timeline.prompts, ends, strict=True)]
    return lanes, [Mark(cue.time, cue.words) for cue in timeline.cues[:MOST_CUES_DRAWN]]
