"""Which backends are usable here, and what is missing for the others. Asked all at once, each for a few seconds."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vjengine.errors import BackendError, VJError
from vjengine.offline.backends.comfyui import ComfySettings
from vjengine.offline.backends.comfyui_client import Comfy
from vjengine.offline.backends.replicate_client import API, TOKEN_VARIABLE, Replicate, find_token
from vjengine.offline.diffusion.options import SvdOptions, TurboFilmOptions
from vjengine.offline.project.settings import CONTINUATIONS


@dataclass(frozen=True, slots=True)
class Found:
    """A backend.

    Attributes:
        name: as prompt.md calls it.
        usable: it would work now.
        words: what it is here, or why not.
        remedy: what to install or set; empty if nothing.
    """

    name: str
    usable: bool
    words: str
    remedy: str = ""


def probe_backends(settings: Mapping[str, Mapping[str, Any]] | None = None, seconds: float = 8.0) -> list[Found]:
    """Return what is found of each backend, in the order of the table; it takes ``seconds`` at most.

    Args:
        settings: of the backends, by name: those of a project.
        seconds: the most that all of it may take.
    """
    given = settings or {}
    results: dict[str, Found] = {}

    def ask(name: str, probe: Callable[[Mapping[str, Any]], Found]) -> None:
        results[name] = probe(given.get(name, {}))

    probes = {"diffusers": _diffusers, "turbo": _turbo, "comfyui": _comfyui, "replicate": _replicate}
    threads = [
        threading.Thread(target=ask, args=(name, probe), name=f"probe {name}", daemon=True)
        for name, probe in probes.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    found = {"builtin": Found("", True, "ink on currents; needs nothing")} | results
    silent = Found("", False, f"no answer within {seconds:g} s", "see whether the server is busy, and ask again")
    return [replace(found.get(name, silent), name=name) for name in CONTINUATIONS]


def _diffusers(options: Mapping[str, Any]) -> Found:
    from vjengine.offline.diffusion.films import find

    return _model(str(options.get("model") or SvdOptions().model), find)


def _turbo(options: Mapping[str, Any]) -> Found:
    from vjengine.generate.turbo.store import Store

    def find(name: str) -> object:
        return None if name.startswith("random:") else Store().path(name)

    return _model(str(options.get("model") or TurboFilmOptions().model), find)


def _model(name: str, find: Callable[[str], object]) -> Found:
    missing = [part for part in ("torch", "diffusers", "transformers") if importlib.util.find_spec(part) is None]
    if missing:
        return Found("", False, f"not installed: {', '.join(missing)}", "pip install 'vjengine[turbo]'")
    try:
        find(name)
    except VJError as error:
        words, _, remedy = str(error).partition(": ")
        return Found("", False, words, remedy)
    return Found("", True, f"installed, and the model {name} is here")


def _comfyui(options: Mapping[str, Any]) -> Found:
    server = str(options.get("server", ComfySettings().server))
    try:
        stats = Comfy(server, tries=1).stats()
    except BackendError as error:
        words = str(error).partition(". Is ComfyUI")[0]
        return Found("", False, words, "start ComfyUI, or set comfyui: server: in settings.yaml")
    system, devices = stats.get("system"), stats.get("devices")
    version = system.get("comfyui_version", "?") if isinstance(system, dict) else "?"
    names = [
        f"{device.get('name', '?')} ({_mib(device.get('vram_free'))} free)"
        for device in (devices if isinstance(devices, list) else [])[:4]
        if isinstance(device, dict)
    ]
    return Found("", True, f"version {str(version)[:20]} at {server}: {', '.join(names)[:120] or 'no device named'}")


def _mib(count: object) -> str:
    return f"{count / 2**20:,.0f} MiB" if isinstance(count, int | float) and not isinstance(count, bool) else "?"


def _replicate(options: Mapping[str, Any]) -> Found:
    try:
        token = find_token(options.get("token_file"))
        if not token:
            remedy = f"set {TOKEN_VARIABLE}, or replicate: token_file: in settings.yaml"
            return Found("", False, "no token", remedy)
        who = Replicate(token, tries=1, api=str(options.get("api", API))).account()
    except BackendError as error:
        return Found("", False, str(error), "check the token at replicate.com/account/api-tokens, and the network")
    model = options.get("model")
    if not model:
        return Found("", False, f"the token is {who or 'somebody'}'s", "set replicate: model: in settings.yaml")
    return Found("", True, f"the token is {who or 'somebody'}'s; {model}; every cycle costs money")
