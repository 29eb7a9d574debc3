"""The HUD's picture of the performer's hands: macros, parameters that are moved, the look and the keys."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from vjengine.compose.hud_batch import Colour, QuadBatch
from vjengine.compose.hud_data import HudData
from vjengine.compose.hud_layout import ChipGrid, Rect, Style
from vjengine.compose.hud_panels import unit
from vjengine.compose.hud_theme import ACCENT, DIM, FAINT, LINE, PANEL, TEXT, TROUGH, Pen, faded
from vjengine.core.macros import MacroDef, MacroState
from vjengine.core.params import PARAMS, ParamSpec

_PLAIN = MacroDef(name="")
KEY_CAPS = {"space": "SPC", "backspace": "BKSP", "enter": "ENT", "escape": "ESC", "left": "<", "right": ">"}
"""What a key's cap says where its name is too long."""


def chip_order(data: HudData) -> list[str]:
    """Return the macros' names: groups together, the strongest first, else in the book's order."""
    book = data.macros
    names = [*(n for n in book if n in data.control.macros), *(n for n in data.control.macros if n not in book)]
    groups: dict[str, int] = {}
    for place, name in enumerate(names):
        group = book.get(name, _PLAIN).group
        groups.setdefault(group or f"\0{name}", place)

    def rank(name: str) -> tuple[int, int]:
        macro = book.get(name, _PLAIN)
        return groups[macro.group or f"\0{name}"], -macro.priority

    return sorted(names, key=rank)


def macro_word(macro: MacroDef, state: MacroState, data: HudData) -> str:
    """Return in a word or two where a macro stands."""
    if state.armed:
        return f"at {macro.quantise}" if macro.quantise != "none" else "armed"
    if state.held_down and state.on:
        rivals = [m for m in data.macros.values() if m.group == macro.group and m.priority > macro.priority]
        holding = [m.name for m in rivals if data.control.macros.get(m.name, MacroState()).on]
        return f"under {holding[0]}" if holding else "held down"
    if macro.kind == "level":
        return f"{100 * unit(state.requested):.0f} %"
    if state.on:
        return "on"
    if macro.group:
        return f"{macro.group} {macro.priority}"
    return "hold" if macro.kind == "momentary" else macro.kind


@dataclass(frozen=True, slots=True)
class _Chip:
    name: str
    rect: Rect


class MacroPanel:
    """A chip a macro: its key and name, how far it is in, and whether it waits or is held down by a stronger one."""

    def __init__(self, style: Style, rect: Rect, grid: ChipGrid) -> None:
        self.style, self.rect, self.grid = style, rect, grid
        self._chips: list[_Chip] = []

    def words(self, data: HudData) -> Hashable:
        """The macros there are and how each stands."""
        states = data.control.macros.items()
        return id(data.macros), tuple(
            (name, s.armed, s.held_down, round(100 * unit(s.requested)), s.envelope > 0.0) for name, s in states
        )

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the chips and their words."""
        names, style = chip_order(data), self.style
        shown = names[: self.grid.shown]
        self._chips = [_Chip(name, self.grid.cell(i, self.rect, style.gap)) for i, name in enumerate(shown)]
        for chip in self._chips:
            self._chip(back, front, chip, data)
        if len(names) > len(shown):
            rect = self.grid.cell(len(shown), self.rect, style.gap)
            pen = Pen(style, rect, back, front)
            more = f"+{len(names) - len(shown)} more"
            pen.write(rect.x + rect.w / 2, rect.y, rect.h, more, "small", DIM, "centre", rect.w - 2 * style.hair)

    def _chip(self, back: QuadBatch, front: QuadBatch, chip: _Chip, data: HudData) -> None:
        style, rect = self.style, chip.rect
        macro, state = data.macros.get(chip.name, _PLAIN), data.control.macros[chip.name]
        radius = round(5 * max(0.6, style.scale))
        back.rect(*rect, PANEL, radius=radius)
        lit = state.envelope > 0.0 or state.on
        name_colour = DIM if state.held_down or not lit else TEXT
        x, width = rect.x + style.gap, rect.w - 2 * style.gap
        top, low = Rect(x, rect.y, width, rect.h), Rect(x, rect.y, 0.0, rect.h)
        size = "small"
        if self.grid.detailed:
            nudge, half = round(0.1 * style.line), rect.h / 2
            top, low = Rect(x, rect.y + nudge, width, half), Rect(x, rect.y + half - nudge, width, half)
            size = "body"
        # The cap's place depends on the name alone: it must not jump about while the macro is played.
        used = self._words(front, top, chip.name, size, name_colour) + style.gap
        capped = self._key(back, front, Rect(x + used, top.y, width - used, top.h), macro.key)
        if self.grid.detailed:
            taken = 0.0 if capped else self._key(back, front, low, macro.key)
            colour = ACCENT if state.armed or (state.on and not state.held_down) else DIM
            self._words(front, low._replace(w=width - taken), macro_word(macro, state, data), "small", colour)

    def _words(self, front: QuadBatch, rect: Rect, text: str, size: str, colour: Colour) -> int:
        base = rect.y + round((rect.h + front.atlas.ascents[size]) / 2)
        return front.text(rect.x, base, front.atlas.fit(text, size, rect.w), size, colour)

    def _key(self, back: QuadBatch, front: QuadBatch, rect: Rect, key: str) -> float:
        """Write the key's cap at the right of ``rect`` if there is room; return the width it takes."""
        style, atlas = self.style, front.atlas
        label = KEY_CAPS.get(key, key.upper())
        width = max(atlas.width(label, "small") + style.gap, round(1.25 * style.small))
        if not label or width > rect.w:
            return 0.0
        height = round(1.25 * style.small)
        top = rect.y + round((rect.h - height) / 2)
        back.rect(rect.right - width, top, width, height, LINE, radius=2 * style.hair, stroke=1.0)
        base = top + round((height + atlas.ascents["small"]) / 2)
        front.text(rect.right - width / 2, base, label, "small", DIM, "centre")
        return width + style.gap

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Write the fills and outlines."""
        now, radius = data.control.time.time, round(5 * max(0.6, self.style.scale))
        stroke = max(1.0, 1.0 * self.style.hair)
        for chip in self._chips:
            state = data.control.macros.get(chip.name)
            if state is None:
                continue
            rect, fill = chip.rect, unit(state.envelope)
            if fill > 0.0:
                strength = 0.20 if state.held_down else 0.34
                layer.rect(rect.x, rect.y, max(2.0 * radius, rect.w * fill), rect.h, faded(ACCENT, strength), radius)
            if state.armed:
                if now % 0.25 < 0.125:
                    layer.rect(*rect, ACCENT, radius, stroke)
            elif state.on:
                layer.rect(*rect, FAINT if state.held_down else ACCENT, radius, stroke)


@dataclass(frozen=True, slots=True)
class _Row:
    spec: ParamSpec
    meter: Rect


class ParamPanel:
    """The parameters that move or were moved: what the hand set last on top, then what music and macros move."""

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect
        self.pitch = style.line + 3 * style.hair + max(1, style.gap // 4)
        self.room = max(0, int((rect.h - 2 * style.pad - style.line) // self.pitch))
        self._rows: list[_Row] = []
        self._targets: dict[str, float] = {}
        self._touched: list[str] = []

    def words(self, data: HudData) -> Hashable:
        """Everything: modulated parameters change with every frame."""
        return data.control.time

    def moved(self, data: HudData) -> list[str]:
        """Return the names of the parameters to show, in order."""
        control, book = data.control, data.macros
        for name, value in control.targets.items():
            if self._targets.get(name) != value:
                self._touched = [name, *(n for n in self._touched if n != name)]
        self._targets = dict(control.targets)
        hand = [n for n in self._touched if n in control.targets and n in PARAMS]
        wired = {wire.param for wire in control.look.modulations}
        for name, state in control.macros.items():
            if state.envelope > 0.0 and name in book:
                wired.update(effect.param for effect in book[name].effects)
        if not data.generator.startswith("turbo"):
            wired = {name for name in wired if not name.startswith("turbo.")}  # they move nothing that is seen
        return hand + [row.name for row in PARAMS if row.name in wired and row.name not in hand]

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write names and values."""
        names = self.moved(data)
        self._rows = []
        if not self.room:
            return
        shown = names[: self.room]
        height = 2 * self.style.pad + self.style.line + max(1, len(shown)) * self.pitch
        pen = Pen(self.style, self.rect._replace(h=height), back, front)
        more = len(names) - len(shown)
        pen.header("PARAMETERS", f"+{more} more" if more else f"{len(names)} moved")
        if not shown:
            pen.line("none moved", "small", FAINT)
            return
        hand = data.control.targets
        for name in shown:
            spec, meter_y = PARAMS[name], pen.y + self.style.line
            pen.row(name, spec.show(data.control.values[name]), ACCENT if name in hand else TEXT)
            meter = Rect(pen.inner.x, meter_y, pen.inner.w, 2 * self.style.hair)
            back.rect(*meter, TROUGH)
            self._rows.append(_Row(spec, meter))
            pen.y = meter_y + self.pitch - self.style.line

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Write the meters: filled from 0 to the value; the tick is where hand and look put it."""
        control, hair = data.control, self.style.hair
        for row in self._rows:
            spec, meter = row.spec, row.meter
            value = unit(spec.to_unit(control.values[spec.name]))
            zero = unit(spec.to_unit(0.0)) if spec.low < 0.0 < spec.high and spec.curve == "linear" else 0.0
            left, right = sorted((zero, value))
            layer.rect(meter.x + left * meter.w, meter.y, max(1.0, (right - left) * meter.w), meter.h, ACCENT)
            base = round(meter.x + unit(spec.to_unit(control.smoothed[spec.name])) * (meter.w - hair))
            layer.rect(base, meter.y - hair, hair, meter.h + 2 * hair, TEXT)


class HintLine:
    """The look's name and place in the list, the prompt if there is one, and the keys worth knowing."""

    def __init__(self, style: Style, rect: Rect) -> None:
        self.style, self.rect = style, rect

    def words(self, data: HudData) -> Hashable:
        """The look, the prompt and the hints."""
        return data.control.look.name, data.look_names, data.prompt, data.hints

    def build(self, back: QuadBatch, front: QuadBatch, data: HudData) -> None:
        """Write the line."""
        style, rect, atlas = self.style, self.rect, front.atlas
        back.rect(*rect, PANEL, radius=round(5 * max(0.6, style.scale)))
        base = rect.y + round((rect.h + atlas.ascents["small"]) / 2)
        x, right = rect.x + style.gap, rect.right - style.gap
        name = data.control.look.name
        x += front.text(x, base, "LOOK", "small", DIM) + style.gap
        x += front.text(x, base, atlas.fit(name, "body", 0.3 * rect.w), "body", ACCENT) + style.gap
        if name in data.look_names:
            place = f"{data.look_names.index(name) + 1}/{len(data.look_names)}"
            x += front.text(x, base, place, "small", DIM) + style.gap
        if data.prompt:
            x += style.gap + front.text(
                x + style.gap, base, atlas.fit(data.prompt, "small", 0.45 * rect.w), "small", TEXT
            )
        for key, meaning in reversed(data.hints):
            width = atlas.width(key, "small") + atlas.width(meaning, "small") + style.gap // 2
            if right - width < x + 2 * style.gap:
                break
            right -= front.text(right, base, meaning, "small", DIM, "right") + style.gap // 2
            right -= front.text(right, base, key, "small", TEXT, "right") + 2 * style.gap

    def live(self, layer: QuadBatch, data: HudData) -> None:
        """Nothing moves here."""
