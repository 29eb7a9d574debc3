"""A recorder of the part of TouchDesigner's documented Python API that the builder uses.

It is no TouchDesigner and draws nothing: it writes down which operators were made, set and wired, and refuses what the
documentation does not know. What it proves is wiring.

:data:`DOCUMENTED` holds names from the operators' pages of TouchDesigner's documentation. Not read there but taken
from use elsewhere: ``oscinCHOP`` (port, active), the halves ``lag1`` and ``lag2`` of the Lag CHOP's *Lag*, ``operand``
of the Composite TOP (its items are those of the Text TOP's *operand*), and how many inputs an operator has.
"""

from __future__ import annotations

from typing import Any

_TOP = ("outputresolution", "resolutionw", "resolutionh", "format")
DOCUMENTED: dict[str, tuple[int, tuple[str, ...]]] = {
    # type: (most inputs, parameters that a builder may set)
    "baseCOMP": (0, ()),
    "oscinCHOP": (0, ("active", "protocol", "port")),
    "selectCHOP": (1, ("chop", "channames", "renamefrom", "renameto")),
    "slopeCHOP": (1, ("type",)),
    "lagCHOP": (1, ("lagmethod", "lag1", "lag2")),
    "outCHOP": (1, ()),
    "oscinDAT": (0, ("active", "protocol", "address", "port", "addscope", "splitmessage", "callbacks", "maxlines")),
    "oscoutDAT": (0, ("active", "protocol", "address", "port")),
    "textDAT": (1, ()),
    "tableDAT": (1, ()),
    "outDAT": (1, ()),
    "ndiinTOP": (0, ("active", "name", "extraips", "bandwidth", *_TOP)),
    "syphonspoutinTOP": (0, ("usespoutactivesender", "sendername", *_TOP)),
    "sharedmeminTOP": (0, ("name", "memtype", *_TOP)),
    "screengrabTOP": (0, _TOP),
    "noiseTOP": (2, ("type", "tx", "ty", "tz", "mono", "period", *_TOP)),
    "switchTOP": (99, ("index", "blend", *_TOP)),
    "crossTOP": (2, ("cross", *_TOP)),
    "feedbackTOP": (1, ("top", "reset", "resetpulse", *_TOP)),
    "transformTOP": (1, ("tx", "ty", "rotate", "sx", "sy", "extend", *_TOP)),
    "levelTOP": (1, ("opacity", "brightness1", "contrast", "invert", *_TOP)),
    "displaceTOP": (2, ("horzsource", "vertsource", "displaceweight1", "displaceweight2", "extend", *_TOP)),
    "compositeTOP": (99, ("operand", *_TOP)),
    "textTOP": (1, ("text", "dat", "fontsizex", "alignx", "aligny", "bgalpha", *_TOP)),
    "overTOP": (2, _TOP),
    "outTOP": (1, ()),
}
MENUS = {
    ("noiseTOP", "type"): (
        "perlin2d",
        "perlin3d",
        "perlin4d",
        "simplex2d",
        "simplex3d",
        "simplex4d",
        "sparse",
        "random",
    ),
    ("sharedmeminTOP", "memtype"): ("local", "global"),
    ("compositeTOP", "operand"): ("add", "maximum", "over", "screen", "under"),
    ("textTOP", "alignx"): ("left", "center", "right"),
    ("textTOP", "aligny"): ("bottom", "center", "top"),
    **{
        (type_, "outputresolution"): ("useinput", "half", "2x", "fit", "limit", "custom")
        for type_, (_, pars) in DOCUMENTED.items()
        if "outputresolution" in pars
    },
}
"""Names of menu items, as documented; the builder may set no other."""


class Undocumented(Exception):
    """The builder used an operator, a parameter, an input or a menu item that the documentation does not know."""


class Par:
    """One parameter: its value or its expression."""

    def __init__(self, owner: Node, name: str) -> None:
        self._owner, self.name = owner, name
        self._val: Any = None
        self.expr = ""
        self.menuNames: list[str] = []
        self.menuLabels: list[str] = []

    @property
    def val(self) -> Any:
        """The value that was set."""
        return self._val

    @val.setter
    def val(self, value: Any) -> None:
        menu = MENUS.get((self._owner.type, self.name)) or tuple(self.menuNames)
        if menu and value not in menu:
            raise Undocumented(f"{self._owner.name}.par.{self.name} has no item {value!r}")
        self._val = value


class Pars:
    """Parameters of one operator, of documented names only."""

    def __init__(self, owner: Node) -> None:
        self._owner = owner
        self.made: dict[str, Par] = {}

    def __getattr__(self, name: str) -> Par:
        if name not in self._owner.known:
            raise Undocumented(f"{self._owner.type} {self._owner.name!r} has no parameter {name!r}")
        return self.made.setdefault(name, Par(self._owner, name))


class Connector:
    """One input."""

    def __init__(self, owner: Node) -> None:
        self._owner = owner
        self.source: Node | None = None

    def connect(self, source: Node) -> None:
        """Wire ``source`` in; families do not mix."""
        if source.family != self._owner.family:
            raise Undocumented(f"{source.name} cannot be wired into {self._owner.name}: families differ")
        self.source = source


class Node:
    """One operator."""

    def __init__(self, type_: str, name: str) -> None:
        if type_ not in DOCUMENTED:
            raise Undocumented(f"there is no operator type {type_!r}")
        most, pars = DOCUMENTED[type_]
        self.type, self.name, self.known = type_, name, set(pars)
        self.family = next(family for family in ("CHOP", "TOP", "DAT", "COMP") if type_.endswith(family))
        self.par = Pars(self)
        self.inputConnectors = [Connector(self) for _ in range(most)]
        self.children: dict[str, Node] = {}
        self.text = ""
        self.nodeX = self.nodeY = 0

    def op(self, name: str) -> Node | None:
        """Return a child."""
        return self.children.get(name)

    def create(self, type_: str, name: str) -> Node:
        """Make a child; TouchDesigner would number a name that is taken, which a builder must not rely on."""
        if name in self.children:
            raise Undocumented(f"the name {name!r} is taken")
        made = self.children[name] = Node(type_, name)
        made.destroy = lambda: self.children.pop(name)  # type: ignore[attr-defined]
        return made

    def appendCustomPage(self, name: str) -> Page:
        """Add a page of parameters."""
        return Page(self)


class Page:
    """A page of custom parameters."""

    def __init__(self, owner: Node) -> None:
        self._owner = owner

    def _append(self, name: str, label: str = "") -> list[Par]:
        if not (name[:1].isupper() and name[1:].islower() and name.isalnum()):
            raise Undocumented(f"a custom parameter begins with a capital and goes on in small letters, not {name!r}")
        self._owner.known.add(name)
        return [getattr(self._owner.par, name)]

    appendMenu = appendFloat = appendToggle = _append
