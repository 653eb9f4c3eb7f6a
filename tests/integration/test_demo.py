"""The first command of the README, for real: the whole loop, twice, on an installation of its own."""

from __future__ import annotations

import importlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from installation.settings import Settings
from tests.conftest import glovebox, make_installation
from workbench.demo.story import Differs

pytestmark = [pytest.mark.docker, pytest.mark.opa]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, built_image: str
) -> Iterator[tuple[Settings, subprocess.CompletedProcess[str]]]:
    """An installation on which the demo has been played once and left running."""
    made = make_installation(tmp_path_factory.mktemp("demo") / "home")
    first = glovebox(made, "demo")
    try:
        yield made, first
    finally:
        glovebox(made, "down")


def test_demo_tells_the_whole_loop_and_every_fact_holds(
    played: tuple[Settings, subprocess.CompletedProcess[str]],
) -> None:
    _, first = played
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-2000:]
    for fact in (
        "17,549 people, 400,123 laboratory values",
        "TCP to the hub's API: blocked",
        "download of the notebook: HTTP 403",
        "(safe) was recomputed and goes to review",
        "cells suppressed",
        "(raw records) is refused",
        "ana cannot approve her own request: HTTP 403",
        "the gate released it",
        "is judged again and refused",
        "and names the entry",
        "every one as it must be",
    ):
        assert fact in " ".join(first.stdout.split()), fact


def test_demo_prints_the_address_and_the_accounts(played: tuple[Settings, subprocess.CompletedProcess[str]]) -> None:
    settings, first = played
    assert settings.url in first.stdout
    for name in ("ana", "stella", "adam", "audrey"):
        assert name in first.stdout


def test_second_run_works_on_what_is_there_and_once_stops_it(
    played: tuple[Settings, subprocess.CompletedProcess[str]],
) -> None:
    settings, _ = played
    begun = time.monotonic()
    again = glovebox(settings, "demo", "--once")
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-2000:]
    assert "registered nafld/1" not in again.stdout
    assert time.monotonic() - begun < 240  # a hang, not a benchmark
    stopped = glovebox(settings, "status")
    assert "is not running" in stopped.stdout


def test_demo_exits_non_zero_when_a_step_differs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = importlib.import_module("workbench.demo.run")  # the package's `run` is the function of that name

    async def differs(*_: object) -> None:
        raise Differs("Expected one thing. Seen: another")

    settings.secrets.mkdir(parents=True)
    (settings.secrets / "accounts.json").write_text("{}", "utf-8")
    monkeypatch.setattr(demo, "_play", differs)
    assert demo.run(settings) == 1
