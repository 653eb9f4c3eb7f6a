"""Find the benchmarks, run them, print ratios or the JSON shape that other programs read."""

from __future__ import annotations

import importlib.util
import os
import platform
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

from installation.settings import CHECKOUT, Settings
from workbench import console
from workbench.bench.frame import Benchmark, Measured, Ratios, measure
from workbench.errors import WorkbenchFault

FOLDER = CHECKOUT / "tests" / "benchmarks"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": list(os.getloadavg()),
    }


def discover() -> dict[str, Benchmark]:
    """Every benchmark of ``tests/benchmarks`` by name."""
    found: dict[str, Benchmark] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.name.startswith("_"):
            continue
        spec = importlib.util.spec_from_file_location(
            f"tests.benchmarks.{path.stem}", path
        )  # a name that a child process can import
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a library's news about itself is not our answer
            warnings.simplefilter("ignore", DeprecationWarning)
            spec.loader.exec_module(module)
        for one in getattr(module, "BENCHMARKS", []):
            found[one.name] = one
    return found


def list_benchmarks(*, as_json: bool) -> int:
    """Name and claim of every benchmark."""
    known = discover()
    if as_json:
        console.answer({"benchmarks": [{"name": one.name, "about": one.about} for one in known.values()]})
    else:
        console.table(["benchmark", "what it measures"], [[one.name, one.about] for one in known.values()])
    return 0


def run_benchmarks(settings: Settings, name: str, *, as_json: bool, quick: bool) -> int:
    """Run one or all. Raises WorkbenchFault for an unknown name."""
    known = discover()
    if name and name not in known:
        raise WorkbenchFault(
            f"There is no benchmark {name}.",
            why="It is none of those that were found.",
            do=f"Choose one of: {', '.join(known)}.",
        )
    answer: dict[str, Any] = {"machine": machine(), "ratios": {}, "figures": {}}
    for one in [known[name]] if name else known.values():
        console.progress.print(f"[bold]{one.name}[/]: {one.about}")
        with one.prepare(settings, quick) as measured:
            for item in measured:
                if isinstance(item, Measured):
                    answer["figures"][item.name] = item.value
                    console.progress.print(f"  {item.name}: {item.value}", markup=False)
                    continue
                taken = measure(item)
                answer["ratios"][item.name] = taken.summary()
                answer["figures"][f"{item.name}.ours_{item.unit}"] = taken.ours
                answer["figures"][f"{item.name}.theirs_{item.unit}"] = taken.theirs
                console.progress.print("  " + _line(taken), markup=False)
    if as_json:
        console.answer(answer)
    else:
        console.out.print(f"[dim]{answer['machine']}[/]")
    return 0


def _line(taken: Ratios) -> str:
    said = taken.summary()
    ours, theirs = statistics.median(taken.ours), statistics.median(taken.theirs)
    return (
        f"{taken.name}: {said['median']:.3g} × (min {said['min']:.3g}, max {said['max']:.3g}, {said['runs']} pairs); "
        f"medians {ours:.4g} and {theirs:.4g} {taken.unit}"
    )
