"""Guards the walls: which room may import which, what a plain import may load, where the clock may be read."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vjengine"
ROOMS = {"audio", "inputs", "generate", "stabilise", "compose", "outputs", "web"}
ABOVE = {"errors", "config", "strict_yaml", "resources", "core"}
MAY_IMPORT = {
    "errors": set[str](),
    "resources": set[str](),
    "core": {"errors"},
    "strict_yaml": {"errors"},
    "config": {"errors", "core", "resources", "strict_yaml"},
    **dict.fromkeys(ROOMS, ABOVE),
    "demo": ABOVE | {"audio"},
    "engine": ABOVE | ROOMS,
    "offline": ABOVE | ROOMS | {"engine"},
    "cli": ABOVE | ROOMS | {"offline", "engine", "demo"},
}
EDGES = {
    "torch": ("generate/", "offline/diffusion/"),
    "diffusers": ("generate/", "offline/diffusion/"),
    "ray": ("offline/album/",),
    "moderngl": ("compose/", "outputs/window.py", "generate/procedural"),
    "glfw": ("outputs/",),
    "sounddevice": ("audio/",),
    "aubio": ("audio/",),
    "rtmidi": ("inputs/midi",),
    "mido": ("inputs/midi",),
    "pythonosc": ("inputs/osc", "outputs/osc_feed"),
    "starlette": ("web/",),
    "uvicorn": ("web/",),
    "websockets": ("web/", "offline/backends/"),
    "zeroconf": ("web/",),
    "watchdog": ("inputs/macro_files.py", "inputs/folder"),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that ``path`` imports when it runs; imports for type checkers alone do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return tuple(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    allowed = MAY_IMPORT[here] | {here}
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "vjengine" and len(parts) > 1:
            assert parts[1] in allowed, f"{path.name} in {here}/ imports {module}"


@pytest.mark.parametrize("library", EDGES)
def test_libraries_stay_at_their_edge(library: str) -> None:
    for path in FILES:
        where = path.relative_to(PACKAGE).as_posix()
        if where.startswith(EDGES[library]) or where == "cli/doctor.py":
            continue
        assert library not in {module.split(".")[0] for module in imports(path)}, f"{where} imports {library}"


def test_the_wall_clock_is_read_in_one_place() -> None:
    for path in FILES:
        where = path.relative_to(PACKAGE).as_posix()
        if where in ("core/clock.py", "engine/live.py"):
            continue
        if "time" not in set(imports(path)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time":
                assert node.attr not in ("time", "sleep"), f"{where}:{node.lineno} calls time.{node.attr}"


@pytest.mark.parametrize("module", ["vjengine", "vjengine.core.reducer", "vjengine.cli.main"])
def test_a_plain_import_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "moderngl", "glfw", "sounddevice", "aubio", "rtmidi", "av", "PIL", "matplotlib"}


def test_help_teaches_and_needs_no_heavy_library() -> None:
    code = (
        "import sys\nfrom vjengine.cli.main import build_parser\ntext = build_parser().format_help()\n"
        "assert 'first steps' in text\nassert not {'moderngl', 'av', 'glfw', 'aubio'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_says_what_it_exports() -> None:
    import vjengine

    assert vjengine.__all__ == ["__version__"]
