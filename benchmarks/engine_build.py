"""How long a TensorRT engine takes to build, how large it is, and how much memory that needs. No card is needed.

``python -m benchmarks.engine_build --full`` builds the whole of SD-Turbo's shape (random weights) for RTX 40.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Report, arguments

CARD = "sm89"


def main() -> int:
    """Build one set of engines; return the exit status."""
    parser = arguments("Build TensorRT engines ahead of time, without a card")
    parser.add_argument("--for", dest="card", default=CARD, metavar="CARD", help=f"compute capability ({CARD})")
    parser.add_argument("--size", default="512x512", metavar="WxH", help="of the picture (512x512)")
    args = parser.parse_args()
    from vjengine.errors import VJError
    from vjengine.generate.turbo.accel.cache import EngineCache
    from vjengine.generate.turbo.accel.tensorrt import NETWORKS, TensorRTRung
    from vjengine.generate.turbo.accel.tensorrt_library import checked_targets, library_for
    from vjengine.generate.turbo.plan import FramePlan
    from vjengine.generate.turbo.random_models import random_parts

    width, height = (int(side) for side in args.size.split("x"))
    plan = FramePlan(size=(width, height), device="cuda:0", precision="float16")
    model = "sd-turbo" if args.full else "small"
    report = Report("engine_build", as_json=args.json)
    spent: dict[str, float] = {}
    doing, since = "export", time.perf_counter()

    def say(what: str, fraction: float) -> None:
        nonlocal doing, since
        now = time.perf_counter()
        stage = "export" if what.startswith("export") else what
        spent[doing] = spent.get(doing, 0.0) + now - since
        doing, since = stage, now

    try:
        targets = checked_targets(args.card)
        library = library_for(targets[0])
        report.note(f"random:{model} at {args.size}, fp16, for {args.card}, {library.distribution} {library.version}")
        parts = random_parts(model, precision="float16")
        with tempfile.TemporaryDirectory() as folder:
            before = time.perf_counter()
            since = before
            TensorRTRung(targets).prepare(parts, plan, Path(folder), say)
            total = time.perf_counter() - before
            spent[doing] = spent.get(doing, 0.0) + time.perf_counter() - since
            (entry,) = EngineCache(Path(folder)).list()
            sizes = {name: (entry.folder / f"{name}.engine").stat().st_size for name in NETWORKS}
            before = time.perf_counter()
            assert entry.key is not None
            assert EngineCache(Path(folder)).find(entry.key) is not None
            check = time.perf_counter() - before
    except VJError as error:
        print(f"engine_build: {error}", file=sys.stderr)
        return 1
    for stage, seconds in spent.items():
        report.add(stage, "s", seconds)
    report.add("all, with writing", "s", total)
    for name, size in sizes.items():
        report.add(f"{name} engine", "MB", size / 1e6)
    report.add("check before it is used", "s", check)
    report.add("peak memory", "GB", _peak_bytes() / 1e9)
    return 0


def _peak_bytes() -> float:
    """Return the most memory that this process has held."""
    import psutil

    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return float(psutil.Process().memory_info().peak_wset)


if __name__ == "__main__":
    sys.exit(main())
