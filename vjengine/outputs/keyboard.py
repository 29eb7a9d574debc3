"""Key strokes of a window, under names that do not depend on the window library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

KeyAction = Literal["press", "release", "repeat"]

_NAMED = {
    "SPACE": "space",
    "ENTER": "enter",
    "KP_ENTER": "enter",
    "ESCAPE": "escape",
    "LEFT": "left",
    "RIGHT": "right",
    "UP": "up",
    "DOWN": "down",
    "TAB": "tab",
    "BACKSPACE": "backspace",
    "INSERT": "insert",
    "DELETE": "delete",
    "HOME": "home",
    "END": "end",
    "PAGE_UP": "page_up",
    "PAGE_DOWN": "page_down",
    **{f"F{n}": f"f{n}" for n in range(1, 13)},
}


@dataclass(frozen=True, slots=True)
class KeyStroke:
    """One key going down, coming up or repeating.

    ``key`` is the lower-case character it types on the present layout without shift, or one of ``space``, ``enter``,
    ``escape``, ``left``, ``right``, ``up``, ``down``, ``tab``, ``backspace``, ``insert``, ``delete``, ``home``,
    ``end``, ``page_up``, ``page_down``, ``f1`` … ``f12``.
    """

    key: str
    action: KeyAction


@lru_cache(maxsize=1)
def _names(glfw: Any) -> dict[int, str]:
    return {getattr(glfw, f"KEY_{constant}"): name for constant, name in _NAMED.items()}


def key_stroke(glfw: Any, key: int, scancode: int, action: int) -> KeyStroke | None:
    """Return the stroke that GLFW's key callback reports; ``None`` for keys without a name here, such as shift."""
    name = _names(glfw).get(key)
    if name is None:
        typed = glfw.get_key_name(key, scancode)
        if isinstance(typed, bytes):
            typed = typed.decode("utf-8", "replace")
        if typed:
            name = typed.lower()
        elif 0x20 < key < 0x7F:
            # No layout to ask: GLFW's own codes are those of a US keyboard.
            name = chr(key).lower()
    if not name:
        return None
    kinds: dict[int, KeyAction] = {glfw.PRESS: "press", glfw.RELEASE: "release", glfw.REPEAT: "repeat"}
    return KeyStroke(name, kinds[action]) if action in kinds else None
