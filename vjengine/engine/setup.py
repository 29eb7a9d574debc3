"""From options to parts: what live and offline build in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vjengine.compose.compositor import Compositor
from vjengine.compose.context import offscreen_context
from vjengine.compose.keep import TrailWatch
from vjengine.config import load_looks, load_macros
from vjengine.core.events import Event, PromptSubmitted, StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.core.looks import Look
from vjengine.core.show import Show
from vjengine.engine.options import PictureOptions
from vjengine.errors import UsageError
from vjengine.generate.base import GeneratorSpec, Option
from vjengine.generate.registry import parse_generator
from vjengine.generate.turbo.plan import nearest_size
from vjengine.resources import resource_dir

if TYPE_CHECKING:
    import moderngl


def shader_dir(options: PictureOptions) -> Path:
    """Return the folder shaders are read from."""
    return options.shaders or resource_dir("shaders")


def macros_dir(options: PictureOptions) -> Path:
    """Return the folder macros are read from."""
    return options.macros or resource_dir("macros")


def load_show(options: PictureOptions, events: EventQueue | None = None) -> Show:
    """Load macros and looks, and check that the first look is among them.

    ``options.look`` may also be the path of a look file. A broken look that is not the first one is reported to
    ``events`` and left out: it must not keep a show from starting.

    Raises:
        ConfigError: if a macro or the first look is wrong.
        UsageError: if there is no look of that name.
    """
    macros = load_macros(macros_dir(options))
    looks, faults = load_looks(options.presets or resource_dir("presets"), macros, first=options.look)
    for fault in faults:
        if events is not None:
            events.put(StatusChanged(component="looks", level="warn", message=str(fault)))
    if not looks:
        # An empty folder of presets still plays: every parameter at its default.
        looks = {"default": Look()}
    if options.look not in looks:
        raise UsageError(f"there is no look {options.look!r}; there are: {', '.join(looks)}")
    if options.negative is not None:
        looks = {name: replace(look, negative=options.negative) for name, look in looks.items()}
    return Show(macros, looks)


def opening(options: PictureOptions) -> list[Event]:
    """Return what happens before the first frame: the prompt of the command line, if there is one."""
    return [PromptSubmitted(source="command line", text=options.prompt)] if options.prompt else []


def software(ctx: moderngl.Context) -> bool:
    """True if ``ctx`` is drawn by the CPU."""
    renderer = str(ctx.info["GL_RENDERER"]).lower()
    return any(word in renderer for word in ("llvmpipe", "softpipe", "swiftshader", "software"))


def drawn_by_cpu() -> bool:
    """True if this machine has no GPU to draw with.

    Raises:
        DisplayError: if it cannot draw at all.
    """
    ctx = offscreen_context()
    try:
        return software(ctx)
    finally:
        ctx.release()


def generator_spec(
    options: PictureOptions, show: Show, *, by_cpu: bool = False, prompts: Sequence[str] = ()
) -> GeneratorSpec:
    """Return what the generator is built from; ``by_cpu`` makes its default size smaller: one processor does it all.

    ``prompts`` are known to be wanted, in this order: a generator that reads words reads them before those of the show.

    Raises:
        UsageError: if there is no such generator, or it is told what only the turbo generator knows.
    """
    name, settings = parse_generator(options.generator)
    asked = options.diffusion.settings()
    if name == "turbo":
        # Half the programme's width, as every picture is dreamt and not only drawn.
        size = options.generator_size or nearest_size(options.frames_size(320 if by_cpu else 768))
        settings.setdefault("prompts", "\n".join(_prompts(show, prompts)))
        return GeneratorSpec(name, size, options.seed, {**settings, **asked})
    if asked:
        flags = ", ".join("--full-vae" if name == "vae" else f"--{name}" for name in asked)
        raise UsageError(f"{flags} mean nothing to the generator {name!r}; add --generator turbo")
    if name == "procedural":
        return _procedural(options, show, settings, by_cpu=by_cpu)
    return GeneratorSpec(name, options.frames_size(512 if by_cpu else 1024), options.seed, settings)


def _prompts(show: Show, first: Sequence[str]) -> list[str]:
    """Return ``first`` and the words of all macros and looks, those of the hands before: they are read ahead."""
    texts = [*first]
    texts += [macro.prompt for macro in show.macros.values()] + [look.prompt for look in show.looks.values()]
    return [" ".join(text.split()) for text in dict.fromkeys(texts) if text]


def fallback_spec(options: PictureOptions, show: Show, *, by_cpu: bool = False) -> GeneratorSpec | None:
    """Return what plays if the generator fails for good: the built-in one, in its own size; None if it is that."""
    name, _ = parse_generator(options.generator)
    return None if name == "procedural" else _procedural(options, show, {}, by_cpu=by_cpu)


def _procedural(options: PictureOptions, show: Show, settings: dict[str, Option], *, by_cpu: bool) -> GeneratorSpec:
    # What is named here is compiled before the first frame, not during it.
    settings.setdefault("family", show.bases[options.look].choice("gen.family"))
    return GeneratorSpec("procedural", options.frames_size(512 if by_cpu else 1024), options.seed, settings)


def build_compositor(
    ctx: moderngl.Context, options: PictureOptions, *, hot_reload: bool = True, watch: TrailWatch | None = None
) -> Compositor:
    """Return a compositor drawing in ``ctx``, whose trail ``watch`` looks after."""
    return Compositor(ctx, options.size, shader_dir(options), hot_reload=hot_reload, watch=watch)
