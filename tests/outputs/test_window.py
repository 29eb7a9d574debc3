"""Windows on real X servers: pixels, keys, two windows sharing a texture, fullscreen, a monitor that goes and comes."""

from __future__ import annotations

import pytest

from vjengine.outputs.window import letterbox

pytestmark = pytest.mark.real

MAKE = """
import numpy as np
from vjengine.outputs.window import Window

def quadrants(ctx, size):
    # Red and green on top, blue and white below, as a viewer sees them.
    w, h = size
    picture = np.zeros((h, w, 4), np.uint8)
    picture[..., 3] = 255
    picture[: h // 2, : w // 2, 0] = 255
    picture[: h // 2, w // 2 :, 1] = 255
    picture[h // 2 :, : w // 2, 2] = 255
    picture[h // 2 :, w // 2 :] = 255
    return ctx.texture(size, 4, picture[::-1].tobytes())

def seen(window):
    # What stands on the monitor where the window is, top row first: asked of the X server over a connection of its own.
    import ctypes, glfw
    class Image(ctypes.Structure):
        _fields_ = [(n, ctypes.c_int) for n in ("width", "height", "xoffset", "format")] + [("data", ctypes.c_void_p)]
        _fields_ += [(n, ctypes.c_int) for n in ("byte_order", "unit", "bit_order", "pad", "depth", "row", "bits")]
    window.ctx.finish()
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = x11.XDefaultRootWindow.restype = ctypes.c_void_p
    x11.XGetImage.restype = ctypes.POINTER(Image)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    x11.XGetImage.argtypes = [pointer, pointer, *[integer] * 4, ctypes.c_ulong, integer]
    display = pointer(x11.XOpenDisplay(None))
    root = pointer(x11.XDefaultRootWindow(display))
    x, y = glfw.get_window_pos(window._handle)
    w, h = window.framebuffer_size
    image = x11.XGetImage(display, root, x, y, w, h, 0xFFFFFFFF, 2).contents
    assert image.bits == 32
    rows = np.ctypeslib.as_array((ctypes.c_uint8 * (image.row * h)).from_address(image.data)).reshape(h, -1, 4)
    rows = rows[:, :w, 2::-1].copy()
    x11.XCloseDisplay(display)
    return rows

def corners(image, box=None):
    h, w, _ = image.shape
    x0, y0, bw, bh = box or (0, 0, w, h)
    return [image[y0 + bh * j // 4, x0 + bw * i // 4].tolist() for j in (1, 3) for i in (1, 3)]
"""
QUADRANTS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


@pytest.mark.parametrize(
    ("picture", "area", "expected"),
    [
        ((1280, 720), (1280, 720), (0, 0, 1280, 720)),
        ((640, 360), (1920, 1080), (0, 0, 1920, 1080)),
        ((1280, 720), (1024, 768), (0, 96, 1024, 576)),
        ((512, 512), (1280, 720), (280, 0, 720, 720)),
        ((4000, 1), (100, 100), (0, 49, 100, 1)),
        ((0, 0), (100, 50), (25, 0, 50, 50)),
    ],
)
def test_letterbox_keeps_the_aspect_and_stays_inside(picture, area, expected):
    assert letterbox(picture, area) == expected


def test_a_texture_is_shown_upright_and_letterboxed(child, xvfb):
    facts = child(
        MAKE
        + """
window = Window("upright", (400, 400), monitor="1")
texture = quadrants(window.ctx, (64, 32))
for _ in range(3):
    window.poll()
    window.show(texture)
image = seen(window)
tell(size=window.framebuffer_size, inside=corners(image, (0, 100, 400, 200)), above=image[:98].max().item(),
     below=image[302:].max().item(), error=window.ctx.error, closed=window.closed)
window.close()
window.close()
tell(closed_after=window.closed, strokes=window.poll())
""",
        xvfb,
    )
    assert facts["size"] == [400, 400]
    assert facts["inside"] == QUADRANTS
    assert facts["above"] == facts["below"] == 0
    assert facts["error"] == "GL_NO_ERROR"
    assert (facts["closed"], facts["closed_after"], facts["strokes"]) == (False, True, [])


def test_keys_arrive_by_name_with_press_and_release(child, xvfb):
    facts = child(
        MAKE
        + """
window = Window("key test", (300, 200))
texture = quadrants(window.ctx, (32, 18))
window.poll()
window.show(texture)
found = subprocess.run(["xdotool", "search", "--sync", "--name", "^key test$"], capture_output=True, text=True)
number = found.stdout.split()[0]
subprocess.run(["xdotool", "windowfocus", "--sync", number], check=True)
names = ["a", "7", "space", "Return", "Left", "Up", "Tab", "F11", "BackSpace", "shift+d", "bracketleft", "Escape"]
sender = subprocess.Popen(["xdotool", "key", "--delay", "30", *names])
strokes = until(window, lambda strokes: any(s.key == "escape" and s.action == "release" for s in strokes))
sender.wait()
tell(strokes=[[s.key, s.action] for s in strokes])
""",
        xvfb,
    )
    pressed = [key for key, action in facts["strokes"] if action == "press"]
    assert pressed == ["a", "7", "space", "enter", "left", "up", "tab", "f11", "backspace", "d", "[", "escape"]
    released = [key for key, action in facts["strokes"] if action == "release"]
    assert sorted(released) == sorted(pressed)


def test_two_windows_show_one_texture_and_the_first_can_go_on_drawing(child, xvfb):
    facts = child(
        MAKE
        + """
preview = Window("preview", (320, 180))
programme = Window("programme", (200, 200), share=preview)
import glfw
glfw.set_window_pos(preview._handle, 0, 0)
glfw.set_window_pos(programme._handle, 400, 0)
until(preview, lambda strokes: glfw.get_window_pos(programme._handle) == (400, 0))
texture = quadrants(preview.ctx, (64, 36))
fbo = preview.ctx.framebuffer([texture])
shown = []
for frame in range(3):
    if frame == 2:
        # Rendered, not uploaded, and shown by the other window at once.
        fbo.use()
        preview.ctx.clear(1.0, 0.0, 1.0, 1.0)
    programme.show_from(texture)
    preview.show(texture)
    shown.append(corners(seen(programme), (0, 44, 200, 112)))
    shown.append(corners(seen(preview)))
    preview.activate()
error = preview.ctx.error
programme.activate()
tell(shown=shown, errors=[error, programme.ctx.error])
other = Window("stranger", (64, 64))
from vjengine.errors import DisplayError
said = []
for attempt in (lambda: other.show(texture), lambda: other.show_from(texture), lambda: programme.show(texture)):
    try:
        attempt()
    except DisplayError as error:
        said.append(str(error))
tell(said=said)
programme.close()
preview.show(texture)
tell(left=corners(seen(preview)))
""",
        xvfb,
    )
    magenta = [[255, 0, 255]] * 4
    assert facts["shown"] == [QUADRANTS] * 4 + [magenta] * 2
    assert facts["errors"] == ["GL_NO_ERROR"] * 2
    assert len(facts["said"]) == 3
    assert facts["left"] == magenta


def test_a_window_follows_its_frame_and_survives_being_minimised(child, xvfb):
    facts = child(
        MAKE
        + """
import glfw
window = Window("sizes", (320, 180))
texture = quadrants(window.ctx, (32, 18))
sizes = []
for size in ((600, 200), (50, 300), (1, 1)):
    glfw.set_window_size(window._handle, *size)
    until(window, lambda strokes: window.framebuffer_size == size)
    window.show(texture)
    sizes.append(window.framebuffer_size)
# What a minimised window looks like on Windows.
type(window).framebuffer_size = property(lambda self: (0, 0))
window.show(texture)
tell(sizes=sizes, error=window.ctx.error)
""",
        xvfb,
    )
    assert facts["sizes"] == [[600, 200], [50, 300], [1, 1]]
    assert facts["error"] == "GL_NO_ERROR"


def test_closing_by_the_user_is_seen_and_the_window_can_still_be_shown(child, xvfb):
    facts = child(
        MAKE
        + """
import glfw
window = Window("close me", (100, 100))
texture = quadrants(window.ctx, (32, 32))
before = window.closed
glfw.set_window_should_close(window._handle, True)  # what the close button does
window.poll()
window.show(texture)
tell(before=before, after=window.closed)
window.set_title("bye")
window.close()
""",
        xvfb,
    )
    assert (facts["before"], facts["after"]) == (False, True)


def test_impossible_windows_say_why(child, xvfb):
    facts = child(
        MAKE
        + """
from vjengine.errors import DisplayError
import threading
said = []
def attempt(*args, **kwargs):
    try:
        Window(*args, **kwargs)
    except DisplayError as error:
        said.append(str(error))
attempt("x", (64, 36), fullscreen=True, monitor="projector")
attempt("x", (64, 36), monitor="9")
attempt("x", (0, 36))
thread = threading.Thread(target=attempt, args=("x", (64, 36)))
thread.start()
thread.join()
tell(said=said)
""",
        xvfb,
    )
    unknown, number, empty, thread = facts["said"]
    assert "'projector'" in unknown
    assert "1: " in unknown
    assert "'9'" in number
    assert "0x36" in empty
    assert "main thread" in thread


def test_fullscreen_on_a_named_monitor_fills_it_and_hides_the_pointer(child, two_monitors):
    facts = child(
        MAKE
        + """
import glfw
def where():
    return [*glfw.get_window_pos(window._handle), *glfw.get_window_size(window._handle)]
window = Window("programme", (640, 360), monitor="dummy1", fullscreen=True)
texture = quadrants(window.ctx, (64, 36))
until(window, lambda strokes: where() == [1920, 0, 1920, 1080])
for _ in range(3):  # the driver learns of the new size with the first swap
    window.show(texture)
image = seen(window)
tell(full=where(), corners=corners(image), flag=window.fullscreen,
     pointer=glfw.get_input_mode(window._handle, glfw.CURSOR) == glfw.CURSOR_HIDDEN)
found = subprocess.run(["xdotool", "search", "--sync", "--name", "^programme$"], capture_output=True, text=True)
place = subprocess.run(["xdotool", "getwindowgeometry", found.stdout.split()[0]], capture_output=True, text=True)
tell(server=place.stdout)
window.toggle_fullscreen()
until(window, lambda strokes: where()[2:] == [640, 360])
tell(windowed=where(), flag_after=window.fullscreen,
     pointer_after=glfw.get_input_mode(window._handle, glfw.CURSOR) == glfw.CURSOR_NORMAL)
window.toggle_fullscreen()
until(window, lambda strokes: where() == [1920, 0, 1920, 1080])
tell(again=window.fullscreen)
""",
        two_monitors,
    )
    assert facts["full"] == [1920, 0, 1920, 1080]
    assert facts["corners"] == QUADRANTS
    assert "1920,0" in facts["server"]
    assert "1920x1080" in facts["server"]
    assert facts["windowed"] == [1920 + 640, 360, 640, 360]
    assert (facts["flag"], facts["pointer"], facts["flag_after"], facts["pointer_after"]) == (True, True, False, True)
    assert facts["again"] is True


def test_toggling_fills_the_monitor_the_window_is_on(child, two_monitors):
    facts = child(
        MAKE
        + """
import glfw
window = Window("wanderer", (640, 360))
def where():
    return [*glfw.get_window_pos(window._handle), *glfw.get_window_size(window._handle)]
glfw.set_window_pos(window._handle, 2500, 300)
until(window, lambda strokes: where()[:2] == [2500, 300])
window.toggle_fullscreen()
until(window, lambda strokes: where() == [1920, 0, 1920, 1080])
window.toggle_fullscreen()
until(window, lambda strokes: where() == [2500, 300, 640, 360])
tell(back=where())
""",
        two_monitors,
    )
    assert facts["back"] == [2500, 300, 640, 360]


def test_a_monitor_that_goes_leaves_a_window_and_is_used_again_when_it_is_back(child, two_monitors):
    facts = child(
        MAKE
        + """
import glfw
from vjengine.core.clock import LiveClock
told = []
window = Window("stage", (640, 360), monitor="DUMMY1", fullscreen=True, on_status=told.append, clock=LiveClock())
texture = quadrants(window.ctx, (64, 36))
def where():
    return [*glfw.get_window_pos(window._handle), *glfw.get_window_size(window._handle)]
def show_until(met):
    def shown(strokes):
        window.show(texture)
        return met()
    until(window, shown)
show_until(lambda: where() == [1920, 0, 1920, 1080])
subprocess.run(["xrandr", "--output", "DUMMY1", "--off"], check=True)
show_until(lambda: told)
show_until(lambda: where() == [640, 360, 640, 360])
tell(gone=[told[0].component, told[0].level, told[0].message, told[0].time], windowed=where(), flag=window.fullscreen,
     pixels=corners(seen(window)), closed=window.closed)
subprocess.run(["xrandr", "--output", "DUMMY1", "--mode", "1920x1080", "--right-of", "DUMMY0"], check=True)
subprocess.run(["xrandr", "--query"], check=True, capture_output=True)
show_until(lambda: len(told) > 1)
show_until(lambda: where() == [1920, 0, 1920, 1080])
tell(back=[told[1].component, told[1].level], again=window.fullscreen, words=len(told), error=window.ctx.error)
""",
        two_monitors,
    )
    component, level, message, time = facts["gone"]
    assert (component, level) == ("display", "warn")
    assert "DUMMY1" in message
    assert time > 0
    assert facts["windowed"] == [640, 360, 640, 360]
    assert facts["flag"] is False
    assert facts["pixels"] == QUADRANTS
    assert facts["closed"] is False
    assert facts["back"] == ["display", "ok"]
    assert (facts["again"], facts["words"], facts["error"]) == (True, 2, "GL_NO_ERROR")


def test_a_monitor_missing_at_the_toggle_is_reported_and_the_window_stays(child, two_monitors):
    facts = child(
        MAKE
        + """
told = []
window = Window("later", (640, 360), monitor="DUMMY1", on_status=told.append)
subprocess.run(["xrandr", "--output", "DUMMY1", "--off"], check=True)
from vjengine.outputs.monitors import list_monitors
until(window, lambda strokes: len(list_monitors()) == 1)
window.toggle_fullscreen()
tell(flag=window.fullscreen, level=told[-1].level, message=told[-1].message)
""",
        two_monitors,
    )
    assert facts["flag"] is False
    assert facts["level"] == "warn"
    assert "DUMMY0" in facts["message"]
