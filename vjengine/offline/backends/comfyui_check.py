"""Is a workflow one that this ComfyUI can run? Asked before anything is queued, so the answer comes in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vjengine.errors import BackendError
from vjengine.offline.backends.comfyui_client import Comfy
from vjengine.offline.continuation import Watcher
from vjengine.strict_yaml import suggest

_MAX_FILE = 4 << 20
_MAX_NODES = 500
_WRITTEN_BY_US = ("image", "upload")
"""Inputs whose choices change with every upload: the server's list says nothing about them."""


def read_workflow(path: Path) -> dict[str, Any]:
    """Return the workflow in ``path``: ComfyUI's API format, ``{number: {class_type, inputs}}``.

    Raises:
        BackendError: not readable, not JSON, or saved in the other format.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
        if len(raw) > _MAX_FILE:
            raise BackendError(f"{path}: larger than {_MAX_FILE:,} bytes: no workflow is")
        data = json.loads(raw)
    except OSError as error:
        raise BackendError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BackendError(f"{path}: not JSON: {str(error)[:120]}") from error
    if isinstance(data, dict) and "nodes" in data and "links" in data:
        raise BackendError(
            f"{path}: this is the editor's format. In ComfyUI choose Workflow > Export (API) and save that instead"
        )
    if not isinstance(data, dict) or not data or len(data) > _MAX_NODES:
        raise BackendError(f"{path}: expected a workflow in ComfyUI's API format")
    for number, node in data.items():
        if (
            not isinstance(node, dict)
            or not isinstance(node.get("class_type"), str)
            or not isinstance(node.get("inputs"), dict)
        ):
            raise BackendError(f"{path}: node {number}: expected class_type and inputs (ComfyUI's API format)")
    return data


def check(comfy: Comfy, workflow: Mapping[str, Any], name: str, watcher: Watcher) -> None:
    """Compare every node of a filled-in ``workflow`` with the server's own description.

    Raises:
        BackendError: lists every node class, input and choice that the server does not have.
    """
    known: dict[str, Mapping[str, Any] | None] = {}
    faults: list[str] = []
    output = False
    for number, node in workflow.items():
        kind = node["class_type"]
        if kind not in known:
            known[kind] = comfy.node(kind, watcher)
        described = known[kind]
        if described is None:
            faults.append(f"there is no node {kind!r}; it belongs to an extension that is not installed there")
            continue
        output = output or described.get("output_node") is True
        faults += [f"node {number} ({kind}): {fault}" for fault in _inputs(node["inputs"], described, workflow)]
    if not output and not faults:
        faults.append("no node of it saves anything: it needs one such as SaveImage")
    if faults:
        unique = list(dict.fromkeys(faults))
        more = f"; and {len(unique) - 5} more" if len(unique) > 5 else ""
        raise BackendError(f"{name} does not fit ComfyUI at {comfy.http.base}: " + "; ".join(unique[:5]) + more)


def _inputs(given: Mapping[str, Any], described: Mapping[str, Any], workflow: Mapping[str, Any]) -> list[str]:
    groups = described.get("input")
    if not isinstance(groups, dict):
        return []
    table: dict[str, Any] = {}
    for group in ("required", "optional", "hidden"):
        part = groups.get(group)
        if isinstance(part, dict):
            table.update(part)
    required = groups.get("required")
    faults = [
        f"needs the input {name!r}" for name in (required if isinstance(required, dict) else {}) if name not in given
    ]
    for name, value in given.items():
        if name not in table:
            # Inputs that grow by the number (image1, image2 ...) are described by their first one only.
            if table and name.rstrip("0123456789") not in {key.rstrip("0123456789") for key in table}:
                faults.append(f"has no input {name!r}: {suggest(name, table)}")
            continue
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            if value[0] not in workflow:
                faults.append(f"{name} comes from node {value[0]}, which is not in the workflow")
            continue
        choices = _choices(table[name])
        if choices and value not in choices and not (name in _WRITTEN_BY_US and described.get("name") == "LoadImage"):
            faults.append(f"{name}: there is no {value!r}: {suggest(value, [str(choice) for choice in choices])}")
    return faults


def _choices(description: Any) -> list[Any]:
    """Return what may be chosen, as older (a list) and newer servers (``COMBO`` and options) say it."""
    if not isinstance(description, list) or not description:
        return []
    if isinstance(description[0], list):
        return description[0]
    if description[0] == "COMBO" and len(description) > 1 and isinstance(description[1], dict):
        options = description[1].get("options")
        return options if isinstance(options, list) else []
    return []
