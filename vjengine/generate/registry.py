"""Generators by name. Nothing is imported before it is asked for: a name costs nothing."""

from __future__ import annotations

import importlib
from typing import cast

from vjengine.errors import UsageError
from vjengine.generate.base import NOBODY, Generator, GeneratorSpec, Host, Option

# Name -> module and class; the class is called with the spec and its host. To add a generator, add its row.
_BUILT_IN: dict[str, tuple[str, str]] = {
    "procedural": ("vjengine.generate.procedural", "ProceduralGenerator"),
    "still": ("vjengine.generate.still", "StillGenerator"),
    "turbo": ("vjengine.generate.turbo.generator", "TurboGenerator"),
}

# Name -> module whose function ``warm_up`` does the slow imports that the generator's own module leaves for later.
_LATER: dict[str, str] = {"turbo": "vjengine.generate.turbo.warm"}

# Those whose pictures grow out of their own last ones; the classes say so too.
_FEED_BACK: frozenset[str] = frozenset({"turbo"})


def generator_names() -> tuple[str, ...]:
    """Return the names of all built-in generators, sorted."""
    return tuple(sorted(_BUILT_IN))


def require_generator(name: str) -> None:
    """Check that ``name`` is a generator, without loading it.

    Raises:
        UsageError: listing the names there are.
    """
    if name not in _BUILT_IN:
        raise UsageError(f"there is no generator {name!r}; choose one of: {', '.join(generator_names())}")


def feeds_back(name: str) -> bool:
    """True if generator ``name`` feeds on its own pictures (:func:`~.base.feeds_back`), without loading it.

    Raises:
        UsageError: if there is no generator of that name.
    """
    require_generator(name)
    return name in _FEED_BACK


def warm_up(name: str) -> None:
    """Load the libraries of generator ``name`` without building one, for a process that waits its turn.

    Raises:
        UsageError: if there is no generator of that name.
        MissingDependency: if it needs a library that is not installed.
    """
    require_generator(name)
    importlib.import_module(_BUILT_IN[name][0])
    if name in _LATER:
        importlib.import_module(_LATER[name]).warm_up()


def create_generator(spec: GeneratorSpec, host: Host = NOBODY) -> Generator:
    """Load and build the generator ``spec`` names, in this process.

    Args:
        spec: what to build.
        host: told of progress while it loads, and of its state later.

    Raises:
        UsageError: if there is no generator of that name, or an option is not one of its own.
        MissingDependency: if it needs a library that is not installed.
        GeneratorError: if it cannot start here.
    """
    require_generator(spec.name)
    module, attribute = _BUILT_IN[spec.name]
    factory = getattr(importlib.import_module(module), attribute)
    return cast(Generator, factory(spec, host))


def parse_generator(text: str) -> tuple[str, dict[str, Option]]:
    """Split ``NAME:KEY=VALUE,KEY=VALUE`` as the command line gives it; numbers become floats.

    >>> parse_generator("still:delay=1.0,fail_after=30")
    ('still', {'delay': 1.0, 'fail_after': 30.0})

    Raises:
        UsageError: if there is no such generator or the options cannot be read.
    """
    name, _, tail = text.strip().partition(":")
    require_generator(name)
    options: dict[str, Option] = {}
    for item in filter(None, (part.strip() for part in tail.split(","))):
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not (key and equals and value):
            raise UsageError(f"generator option {item!r} cannot be read; write NAME:KEY=VALUE,KEY=VALUE")
        if key in options:
            raise UsageError(f"generator option {key!r} is given twice")
        try:
            options[key] = float(value)
        except ValueError:
            options[key] = value
    return name, options


def number_options(spec: GeneratorSpec, defaults: dict[str, float]) -> dict[str, float]:
    """Return ``defaults`` with the spec's options over them; for generators whose options are all numbers.

    ``threads`` belongs to the worker process and is accepted everywhere.

    Raises:
        UsageError: naming an option that is unknown, not a number, or negative.
    """
    options = dict(defaults)
    for key, value in spec.options.items():
        if key == "threads":
            continue
        if key not in defaults:
            known = ", ".join(sorted((*defaults, "threads")))
            raise UsageError(f"generator {spec.name!r} has no option {key!r}; it has: {known}")
        if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            raise UsageError(f"generator option {key} = {value!r}: expected a number of 0 or more")
        options[key] = float(value)
    return options
