"""A small language for numbers that follow the music: ``0.35 + 0.2*low``, ``mix(0.2, 0.9, section_phase)``.

Python's own parser reads it, but nothing of Python runs: only arithmetic, comparisons, ``a if b else c`` and the
functions and names listed here are taken, everything is a float, and length and depth are bounded. What cannot be
computed at some moment (a division by zero) has no value there, and never stops a render.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vjengine.core.modulation import waveform
from vjengine.strict_yaml import suggest

MAX_CHARACTERS = 500
MAX_NODES = 200
MAX_DEPTH = 24

Signals = Mapping[str, float]
_Term = Callable[[Signals], float]

SIGNALS: Mapping[str, str] = MappingProxyType(
    {
        "t": "s into the track",
        "progress": "how far through the track, 0-1",
        "beat": "position in beats; 0 is the 1 of the first bar",
        "bar": "position in bars",
        "phase": "position in the beat, 0-1",
        "bar_phase": "position in the bar, 0-1",
        "tempo": "beats a minute",
        "level": "loudness, 0-1",
        "low": "level below 180 Hz, 0-1",
        "mid": "level from 180 to 2000 Hz, 0-1",
        "high": "level above 2000 Hz, 0-1",
        "low_hit": "attacks below 180 Hz: jump to 0-1 and decay",
        "mid_hit": "attacks from 180 to 2000 Hz",
        "high_hit": "attacks above 2000 Hz",
        "onset": "jumps to 0-1 at any onset and decays",
        "energy": "slow level of all bands, 0-1",
        "bright": "where the middle of the spectrum is, 0-1",
        "section": "number of the section, from 1",
        "section_phase": "position in the section, 0-1",
        "section_energy": "loudness of the section, 0-1 of the loudest",
        "scene": "number of the scene, from 1",
        "scene_time": "s since the scene began",
        "scene_phase": "position in the scene, 0-1",
    }
)
"""Names that an expression may use, and what they are."""

MUSICAL = frozenset(("beat", "bar", "phase", "bar_phase", "tempo"))
"""Names for which the beats of the track must be known."""
STRUCTURAL = frozenset(("section", "section_phase", "section_energy"))
"""Names for which the sections of the track must be known."""

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: math.pow,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CONSTANTS = {"pi": math.pi, "tau": math.tau}


def _clamp(value: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(high, max(low, value))


def _smoothstep(low: float, high: float, value: float) -> float:
    if low == high:
        return float(value >= low)
    k = _clamp((value - low) / (high - low))
    return k * k * (3.0 - 2.0 * k)


_FUNCTIONS: Mapping[str, tuple[Callable[..., float], int, int]] = {
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "abs": (abs, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 1),
    "floor": (lambda x: float(math.floor(x)), 1, 1),
    "ceil": (lambda x: float(math.ceil(x)), 1, 1),
    "round": (lambda x: float(round(x)), 1, 1),
    "fract": (lambda x: x - math.floor(x), 1, 1),
    "sign": (lambda x: float((x > 0.0) - (x < 0.0)), 1, 1),
    "pow": (math.pow, 2, 2),
    "min": (lambda *x: min(x), 2, 8),
    "max": (lambda *x: max(x), 2, 8),
    "clamp": (_clamp, 1, 3),
    "mix": (lambda a, b, k: a + (b - a) * k, 3, 3),
    "step": (lambda edge, x: float(x >= edge), 2, 2),
    "smoothstep": (_smoothstep, 3, 3),
    # Waves over turns: tri(beat/8) goes up and down once in eight beats, 0 to 1.
    "wave": (lambda x: 0.5 - 0.5 * waveform("sine", x + 0.25), 1, 1),
    "tri": (lambda x: 0.5 + 0.5 * waveform("triangle", x - 0.25), 1, 1),
    "saw": (lambda x: 0.5 + 0.5 * waveform("saw", x), 1, 1),
    "square": (lambda x: 0.5 + 0.5 * waveform("square", x), 1, 1),
    "noise": (lambda x, salt=0.0: 0.5 + 0.5 * waveform("wander", x, salt), 1, 2),
    "random": (lambda x, salt=0.0: 0.5 + 0.5 * waveform("random", x, salt), 1, 2),
}
FUNCTIONS: tuple[str, ...] = tuple(_FUNCTIONS)
"""Functions that an expression may call. Waves run 0-1; ``noise`` glides between random numbers, ``random`` jumps."""


class ExpressionError(ValueError):
    """An expression is wrong; ``position`` is the character it is wrong at, from 1."""

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(f"{message} at character {position}")


@dataclass(frozen=True, slots=True)
class Expression:
    """A number that follows the music.

    Attributes:
        text: as it was written.
        names: the signals it reads.
    """

    text: str
    names: frozenset[str]
    _term: _Term

    def __call__(self, signals: Signals) -> float:
        """Return its value, or NaN where it has none."""
        try:
            value = self._term(signals)
        except (ArithmeticError, ValueError):
            return math.nan
        return value if math.isfinite(value) else math.nan


def parse_expression(text: str) -> Expression:
    """Return the expression ``text``.

    Raises:
        ExpressionError: if it is not one; says what is wrong, where, and what was probably meant.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"more than {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    source = " ".join(text.split("\n"))
    lead = len(source) - len(source.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what would be odd in Python
            tree = ast.parse(source.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError("this cannot be read", (error.offset or 1) + lead) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("this cannot be read", 1) from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ExpressionError(f"more than {MAX_NODES} parts: too long", len(text))
    names: set[str] = set()
    term = _Builder(names, lead).term(tree.body)
    return Expression(text, frozenset(names), term)


class _Builder:
    """Turns a syntax tree into nested functions of the signals, or refuses."""

    def __init__(self, names: set[str], lead: int) -> None:
        self._names = names
        self._lead = lead

    def term(self, node: ast.expr, depth: int = 0) -> _Term:
        if depth > MAX_DEPTH:
            raise self._wrong("nested too deeply", node)
        inner = depth + 1
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                return self._constant(value, node)
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value_of = self.term(operand, inner)
                return lambda signals: -value_of(signals)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.term(operand, inner)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value_of = self.term(operand, inner)
                return lambda signals: float(not value_of(signals))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._binary(_BINARY[type(op)], self.term(left, inner), self.term(right, inner))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return self._binary(_COMPARE[type(op)], self.term(left, inner), self.term(right, inner))
            case ast.BoolOp(op=op, values=values):
                terms = [self.term(value, inner) for value in values]
                combine = all if isinstance(op, ast.And) else any
                return lambda signals: float(combine(term(signals) for term in terms))
            case ast.IfExp(test=test, body=body, orelse=other):
                asked, yes, no = self.term(test, inner), self.term(body, inner), self.term(other, inner)
                return lambda signals: yes(signals) if asked(signals) else no(signals)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, node, inner)
            case ast.Compare():
                raise self._wrong("compare two at a time (a < b and b < c)", node)
            case _:
                raise self._wrong("not a number, a name, + - * / % **, a comparison or a function", node)

    def _constant(self, value: float, node: ast.expr) -> _Term:
        if not -1e300 < value < 1e300:
            raise self._wrong("too large a number", node)
        number = float(value)
        return lambda signals: number

    def _name(self, name: str, node: ast.expr) -> _Term:
        if name in _CONSTANTS:
            return self._constant(_CONSTANTS[name], node)
        if name not in SIGNALS:
            raise self._wrong(f"{name!r} is unknown, {suggest(name, (*SIGNALS, *_CONSTANTS))}", node)
        self._names.add(name)
        return lambda signals: signals[name]

    @staticmethod
    def _binary(operate: Callable[[float, float], float], left: _Term, right: _Term) -> _Term:
        return lambda signals: float(operate(left(signals), right(signals)))

    def _call(self, name: str, args: list[ast.expr], node: ast.expr, depth: int) -> _Term:
        if name not in _FUNCTIONS:
            raise self._wrong(f"{name}() is unknown, {suggest(name, _FUNCTIONS)}", node)
        function, least, most = _FUNCTIONS[name]
        if not least <= len(args) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise self._wrong(f"{name}() takes {wanted} numbers, not {len(args)}", node)
        terms = [self.term(arg, depth) for arg in args]
        return lambda signals: float(function(*(term(signals) for term in terms)))

    def _wrong(self, message: str, node: ast.expr) -> ExpressionError:
        return ExpressionError(message, node.col_offset + 1 + self._lead)
