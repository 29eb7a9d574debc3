"""Builds the vjengine network inside TouchDesigner.

Put this text into a Text DAT, right-click it and choose *Run Script*. Or, from the textport, build anywhere else::

    op('/project1/text1').module.build(op('/project1'))

It makes a Base COMP ``vjengine`` with outputs: the picture (TOP); audio, beat, macro, parameter and engine channels
(CHOPs); texts (DAT). Running it again replaces the component. Everything is in the table ``OPERATORS``; nothing here
needs TouchDesigner to be read, and ``check.py`` proves that every address, channel, wire and port exists.

It follows TouchDesigner's published documentation and has not been run inside TouchDesigner yet.
"""

from collections import namedtuple

HOST = "127.0.0.1"
"""Where vjengine runs."""
NUMBERS_PORT, TEXTS_PORT, ENGINE_PORT = 7000, 7001, 9000
"""``--osc-out``, the port after it, ``--osc-in``."""
SOURCES = ("NDI", "Spout or Syphon", "Shared memory", "Window")
"""Frame sources, in the order of the inputs of ``source``."""
FRAMES_NAME = "vjengine"
"""Name of the Spout or Syphon sender, and of the shared memory."""

Op = namedtuple("Op", "name type inputs pars exprs text at")

SENT = {
    "macro": "/macro/{name}",
    "toggle": "/macro/{name}/toggle",
    "param": "/param/{name}",
    "value": "/param/{name}/value",
    "look": "/look",
    "next_look": "/look/next",
    "previous_look": "/look/prev",
    "tempo": "/tempo/{name}",
    "trigger": "/trigger/{name}",
    "prompt": "/prompt",
    "crowd": "/crowd/prompt",
    "clear_crowd": "/crowd/clear",
    "learn": "/midi/learn",
    "undo_learn": "/midi/learn/undo",
    "subscribe": "/subscribe",
    "unsubscribe": "/unsubscribe",
}
"""Every address that the functions of the DAT ``play`` send to."""

PLAY = '''# Plays vjengine: op('vjengine').op('play').module.macro('DROP', 1)
SENT = {sent!r}


def send(what, *arguments, name=''):
    """Send to one of SENT; a parameter's name may be written with dots."""
    address = SENT[what].format(name=name.replace('.', '/'))
    op('engine_send').sendOSC(address, list(arguments))


def macro(name, value=1.0):
    send('macro', float(value), name=name)


def param(name, position):
    """Move a parameter's fader, 0 to 1."""
    send('param', float(position), name=name)


def value(name, number):
    """Set a parameter in its own unit; a choice by its name."""
    send('value', number, name=name)


def look(name):
    send('look', str(name))


def prompt(text):
    send('prompt', str(text))


def tap():
    send('tempo', 1, name='tap')
'''

TEXT_CALLBACKS = """# Keeps the latest text of every address in the table "texts": address, first and second argument.


def onReceiveOSC(dat, rowIndex, message, bytes, timeStamp, address, args, peer):
    table = op('texts')
    cells = [address] + [str(one) for one in args[:2]] + [''] * (2 - len(args[:2]))
    if table.row(address) is None:
        table.appendRow(cells)
    else:
        for column, cell in enumerate(cells):
            table[address, column] = cell
    return
"""


def _channel(select, name):
    """Return an expression for a channel that is 0 until it has come."""
    return f"float(op('{select}')['{name}'] or 0)"


def _text(address, column=1):
    """Return an expression for a text that is empty until it has come."""
    return f"str(op('texts')['{address}', {column}] or '')"


ALIVE = "min(1.0, max(0.0, {}))".format(_channel("alive_lag", "vj/engine/time"))
"""1 while the engine's clock runs, 0 when it is silent."""
HUD = (
    "'{:.1f} BPM  {:.0f} fps  {}\\n{}'.format("
    + ", ".join(
        (
            _channel("beat", "vj/beat/tempo"),
            _channel("engine", "vj/engine/fps"),
            _text("/vj/text/look"),
            _text("/vj/text/prompt"),
        )
    )
    + f") if {ALIVE} > 0.5 else 'vjengine is silent'"
)


def _op(name, type, at, inputs=(), pars=None, exprs=None, text=""):
    return Op(name, type, tuple(inputs), dict(pars or {}), dict(exprs or {}), text, at)


OPERATORS = [
    # Numbers: one channel an address, vj/audio/sub/hit and so on.
    _op("osc_numbers", "oscinCHOP", (0, 0), pars={"port": NUMBERS_PORT, "active": True}),
    _op("audio", "selectCHOP", (1, 2), ["osc_numbers"], {"channames": "vj/audio/*"}),
    _op("beat", "selectCHOP", (1, 1), ["osc_numbers"], {"channames": "vj/beat/*"}),
    _op("macros", "selectCHOP", (1, 0), ["osc_numbers"], {"channames": "vj/macro/*"}),
    _op("params", "selectCHOP", (1, -1), ["osc_numbers"], {"channames": "vj/param/*"}),
    _op("engine", "selectCHOP", (1, -2), ["osc_numbers"], {"channames": "vj/engine/*"}),
    _op("out_audio", "outCHOP", (2, 2), ["audio"]),
    _op("out_beat", "outCHOP", (2, 1), ["beat"]),
    _op("out_macros", "outCHOP", (2, 0), ["macros"]),
    _op("out_params", "outCHOP", (2, -1), ["params"]),
    _op("out_engine", "outCHOP", (2, -2), ["engine"]),
    # Is anybody there? The engine's clock gains a second a second; when it stops, its slope is 0.
    _op("alive_time", "selectCHOP", (1, -3), ["osc_numbers"], {"channames": "vj/engine/time"}),
    _op("alive_slope", "slopeCHOP", (2, -3), ["alive_time"]),
    _op("alive_lag", "lagCHOP", (3, -3), ["alive_slope"], {"lag1": 0.2, "lag2": 1.0}),
    # Texts, on the port after: the CHOP reads numbers only.
    _op("texts", "tableDAT", (2, -5)),
    _op("osc_texts_callbacks", "textDAT", (1, -5), text=TEXT_CALLBACKS),
    _op("osc_texts", "oscinDAT", (0, -5),
        pars={"port": TEXTS_PORT, "active": True, "callbacks": "osc_texts_callbacks", "maxlines": 50}),
    _op("out_texts", "outDAT", (3, -5), ["texts"]),
    # The way back.
    _op("engine_send", "oscoutDAT", (0, -6), pars={"address": HOST, "port": ENGINE_PORT, "active": True}),
    _op("play", "textDAT", (1, -6), text=PLAY.format(sent=SENT)),
    # Frames.
    _op("in_ndi", "ndiinTOP", (0, 8), pars={"active": True}),
    _op("in_spout", "syphonspoutinTOP", (0, 7), pars={"usespoutactivesender": False, "sendername": FRAMES_NAME}),
    _op("in_shared", "sharedmeminTOP", (0, 6), pars={"name": FRAMES_NAME, "memtype": "local"}),
    _op("in_window", "screengrabTOP", (0, 5)),
    _op("source", "switchTOP", (1, 7), ["in_ndi", "in_spout", "in_shared", "in_window"],
        exprs={"index": "parent().par.Source.menuIndex"}),
    # What is shown while the engine is silent, and the way over in a second.
    _op("fallback", "noiseTOP", (1, 5),
        pars={"type": "simplex3d", "mono": False,
              "outputresolution": "custom", "resolutionw": 1280, "resolutionh": 720},
        exprs={"tz": "absTime.seconds * 0.1"}),
    _op("seen", "crossTOP", (2, 6), ["fallback", "source"], exprs={"cross": ALIVE}),
    # Feedback: the last picture, swelling with the bass, bent by the new one's light.
    _op("trail", "feedbackTOP", (3, 7), ["seen"], {"top": "mixed"}),
    _op("trail_move", "transformTOP", (4, 7), ["trail"], exprs={
        "sx": "1.0 + 0.03 * " + _channel("audio", "vj/audio/sub/hit"),
        "sy": "1.0 + 0.03 * " + _channel("audio", "vj/audio/sub/hit"),
        "rotate": "2.0 * ({} - 0.5)".format(_channel("params", "vj/param/feedback/rotate")),
    }),
    _op("trail_fade", "levelTOP", (5, 7), ["trail_move"], exprs={
        "opacity": "parent().par.Feedback * (0.5 + 0.5 * {})".format(_channel("params", "vj/param/feedback/mix")),
    }),
    _op("trail_bend", "displaceTOP", (6, 7), ["trail_fade", "seen"], exprs={
        "displaceweight1": "parent().par.Displace * " + _channel("audio", "vj/audio/bass/level"),
        "displaceweight2": "parent().par.Displace * " + _channel("audio", "vj/audio/mid/level"),
    }),
    _op("mixed", "compositeTOP", (7, 6), ["seen", "trail_bend"], {"operand": "maximum"}),
    # A flash of its own on DROP, as an example of a macro.
    _op("accent", "levelTOP", (8, 6), ["mixed"],
        exprs={"brightness1": "1.0 + 0.5 * " + _channel("macros", "vj/macro/DROP")}),
    # HUD.
    _op("hud_text", "textTOP", (7, 4),
        pars={"outputresolution": "custom", "resolutionw": 1280, "resolutionh": 720, "fontsizex": 24,
              "alignx": "left", "aligny": "bottom", "bgalpha": 0.0},
        exprs={"text": HUD}),
    _op("hud", "levelTOP", (8, 4), ["hud_text"], exprs={"opacity": "parent().par.Hud"}),
    _op("picture", "overTOP", (9, 5), ["hud", "accent"]),
    _op("out_picture", "outTOP", (10, 5), ["picture"]),
]  # fmt: skip

CONTROLS = [
    ("Menu", "Source", "Frame source", SOURCES[0]),
    ("Float", "Feedback", "Feedback", 0.6),
    ("Float", "Displace", "Displace", 0.05),
    ("Toggle", "Hud", "HUD", True),
]
"""Parameters of the component itself: kind, name, label, default."""


def build(root, name="vjengine"):
    """Make the network in the component ``root``, in place of one of that name; return it."""
    old = root.op(name)
    if old is not None:
        old.destroy()
    base = root.create("baseCOMP", name)
    _controls(base)
    made = {}
    for row in OPERATORS:
        node = base.create(row.type, row.name)
        node.nodeX, node.nodeY = 200 * row.at[0], 150 * row.at[1]
        made[row.name] = node
    for row in OPERATORS:
        node = made[row.name]
        for index, source in enumerate(row.inputs):
            node.inputConnectors[index].connect(made[source])
        if row.text:
            node.text = row.text
        for par, value in row.pars.items():
            getattr(node.par, par).val = value
        for par, expression in row.exprs.items():
            getattr(node.par, par).expr = expression
    return base


def _controls(base):
    page = base.appendCustomPage("vjengine")
    for kind, name, label, default in CONTROLS:
        par = getattr(page, "append" + kind)(name, label=label)[0]
        if kind == "Menu":
            par.menuNames = [source.lower().replace(" ", "_") for source in SOURCES]
            par.menuLabels = list(SOURCES)
            par.val = par.menuNames[SOURCES.index(default)]
        else:
            par.val = default


if __name__ == "__main__":
    try:
        here = parent()  # type: ignore[name-defined]
    except NameError:
        raise SystemExit("Run this inside TouchDesigner; here, run check.py") from None
    build(here)
