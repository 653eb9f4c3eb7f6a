"""The real cohort in a gate with the real policy engine, for whole requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cohort import SameProcess, cohort_world, sealed
from tests.integration.opa_server import RunningOpa, running_opa
from tests.unit.gate.factory import World


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOpa]:
    with running_opa(tmp_path_factory.mktemp("opa")) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, opa: RunningOpa) -> Iterator[World]:
    made = cohort_world(tmp_path / "home", opa, SameProcess())
    yield made
    made.gate.engine.close()  # type: ignore[attr-defined]


@pytest.fixture
def sealed_world(tmp_path: Path, opa: RunningOpa, built_image: str) -> Iterator[World]:
    made = cohort_world(tmp_path / "home", opa, sealed(tmp_path / "verifier"))
    yield made
    made.gate.engine.close()  # type: ignore[attr-defined]
