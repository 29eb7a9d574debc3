"""The list of words that are not let in, as a file that a performer edits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from vjengine.web.crowd.folding import folded, readings

_MOST_WORDS, _LONGEST_FILE = 20_000, 1 << 20

Runs = tuple[tuple[str, int], ...]


class WordList:
    """Finds words however they are spelt.

    A word matches whole words only, so that Scunthorpe and classic pass. ``word*`` matches what begins with it,
    ``*word*`` what contains it. A letter said more often is still that letter: ``fuuuck``. Several words in a line
    match where they follow each other.

    Args:
        lines: a word each; what follows ``#`` is not read.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        # By the word with each letter said once: how often each is to be said at least.
        self._whole: dict[str, list[Runs]] = defaultdict(list)
        self._starts: dict[str, list[Runs]] = defaultdict(list)
        self._inside: list[str] = []
        self._phrases: list[list[str]] = []
        self._plain: dict[int, list[str]] = defaultdict(list)
        count = 0
        for line in lines:
            word = line.partition("#")[0].strip()
            if not word or count >= _MOST_WORDS:
                continue
            count += 1
            self._add(word)
        self._start_lengths = sorted({len(start) for start in self._starts})

    @classmethod
    def load(cls, path: Path) -> WordList:
        """Return the list in a UTF-8 file.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            return cls(file.read(_LONGEST_FILE).decode("utf-8", "replace").splitlines())

    def finds(self, text: str) -> bool:
        """Return True if one of the words is in ``text``."""
        for words in readings(text):
            if any(self._is_one(word) for word in words) or self._has_phrase(words):
                return True
            for spelt in _spelt_out(words):
                if self._is_one(spelt) or any(inside in _squeezed(spelt) for inside in self._inside):
                    return True
        return False

    def _add(self, word: str) -> None:
        bare = folded(word.strip("*"))
        if " " in bare:
            self._phrases.append([_squeezed(part) for part in bare.split()])
            # A mark between them makes them one word.
            self._whole[_squeezed(bare.replace(" ", ""))].append(_runs(bare.replace(" ", "")))
            return
        once, runs = _squeezed(bare), _runs(bare)
        if not once:
            return
        self._plain[len(bare)].append(bare)
        if word.startswith("*") and word.endswith("*"):
            self._inside.append(once)
        elif word.endswith("*"):
            self._starts[once].append(runs)
        else:
            self._whole[once].append(runs)

    def _is_one(self, word: str) -> bool:
        if "*" in word:
            return self._masked(word)
        once, runs = _squeezed(word), _runs(word)
        if any(_covers(runs, wanted) for wanted in self._whole.get(once, ())):
            return True
        if any(inside in once for inside in self._inside):
            return True
        return any(
            _covers(runs[:length], wanted)
            for length in self._start_lengths
            if length <= len(once)
            for wanted in self._starts.get(once[:length], ())
        )

    def _masked(self, word: str) -> bool:
        """Return True if ``word`` is one of the list with letters behind stars: ``f*ck``."""
        if sum(c != "*" for c in word) < 2:
            return False
        bare = word.replace("*", "")
        return any(
            all(a in ("*", b) for a, b in zip(word, listed, strict=True)) for listed in self._plain.get(len(word), ())
        ) or self._is_one(bare)

    def _has_phrase(self, words: list[str]) -> bool:
        once = [_squeezed(word) for word in words]
        return any(
            once[at : at + len(phrase)] == phrase
            for phrase in self._phrases
            for at in range(len(once) - len(phrase) + 1)
        )


def _runs(word: str) -> Runs:
    return tuple((letter, len(list(same))) for letter, same in groupby(word))


def _squeezed(word: str) -> str:
    return "".join(letter for letter, _ in groupby(word))


def _covers(runs: Runs, wanted: Runs) -> bool:
    return all(count >= least for (_, count), (_, least) in zip(runs, wanted, strict=True))


def _spelt_out(words: list[str]) -> list[str]:
    """Return what single letters that follow each other spell: ``f u c k``."""
    return [
        "".join(letters)
        for single, group in groupby(words, key=lambda word: len(word) == 1)
        if single and len(letters := list(group)) >= 3
    ]
