"""The frame of the benchmarks: in turn, pair by pair, and the shape that programs read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from installation.settings import CHECKOUT, Settings
from workbench.bench import frame, run
from workbench.bench.frame import Pair, measure


def test_runs_take_turns_after_one_warm_up() -> None:
    order: list[str] = []
    ours, theirs = lambda: order.append("a"), lambda: order.append("b")
    taken = measure(Pair("a_vs_b", ours, theirs, runs=3))
    assert order == ["a", "b"] * 4
    assert len(taken.ratios) == 3


def test_ratio_is_taken_pair_by_pair() -> None:
    ours, theirs = iter([1.0, 2.0, 9.0]), iter([1.0, 4.0, 3.0])
    taken = measure(Pair("a_vs_b", lambda: next(ours), lambda: next(theirs), runs=2))
    assert taken.ratios == [0.5, 3.0]
    assert taken.summary() == {"min": 0.5, "median": 1.75, "max": 3.0, "runs": 2}


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_run_that_measures_nothing_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="nothing"):
        measure(Pair("a_vs_b", lambda: value, lambda: 1.0))


def test_json_has_the_agreed_shape_and_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned: list[bool] = []

    @contextmanager
    def prepare(_: Settings, quick: bool) -> Iterator[Iterator[Pair | frame.Measured]]:
        yield iter([Pair("a_vs_b", lambda: 1.0, lambda: 2.0, runs=2), frame.Measured("rows", 10 if quick else 100)])
        cleaned.append(True)

    monkeypatch.setattr(run, "discover", lambda: {"try": frame.Benchmark("try", "a trial", prepare)})
    assert run.run_benchmarks(settings, "try", as_json=True, quick=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"machine", "ratios", "figures"}
    assert said["ratios"] == {"a_vs_b": {"min": 0.5, "median": 0.5, "max": 0.5, "runs": 2}}
    assert said["figures"]["rows"] == 10
    assert cleaned == [True]


def test_every_benchmark_can_be_found() -> None:
    found = run.discover()
    assert "spawn" in found
    for path in sorted(Path(run.FOLDER).glob("[a-z]*.py")):
        assert path.stem in {name.split(".")[0] for name in found} or "BENCHMARKS" not in path.read_text("utf-8")


def test_a_benchmark_can_be_named_in_a_process_of_its_own() -> None:
    """A child process imports by name what it is to run."""
    modules = sorted({one.prepare.__module__ for one in run.discover().values()})
    finding = f"from importlib.util import find_spec; print([name for name in {modules} if find_spec(name) is None])"
    done = subprocess.run([sys.executable, "-c", finding], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert modules
    assert done.stdout.strip() == "[]"
