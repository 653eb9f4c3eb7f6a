"""`glovebox prove` on the real engine: everything blocked in a sandbox, and the same adversary gets out of a plain container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from provisioning.sandbox.mounts import mounts_below
from provisioning.sandbox.prove import Report, check, run
from tests.unit.sandbox.rig import Rig

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
pytest_plugins = ["tests.unit.sandbox.fixtures"]


@pytest.fixture(scope="module")
def proof(
    engine: docker.DockerClient, sandbox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rig, Report]]:
    rig = Rig(tmp_path_factory.mktemp("proof") / "home", engine, waiting=1)
    yield rig, run(rig.settings, baseline=True)
    rig.close()


def test_no_attempt_is_open_or_undecided(proof: tuple[Rig, Report]) -> None:
    _, report = proof
    assert report.failures == []
    assert report.undecided == []
    assert report.exit_code == 0
    assert report.counted()["blocked"] >= 60


def test_the_adversary_sat_in_a_sandbox_that_had_waited(proof: tuple[Rig, Report]) -> None:
    assert proof[1].content["machine"]["start"] == "claimed while waiting"


def test_what_is_known_to_stay_open_is_named(proof: tuple[Rig, Report]) -> None:
    assert proof[1].known == ["free-space-of-host", "machine-load"]


def test_the_neighbour_answered_every_knock(proof: tuple[Rig, Report]) -> None:
    (fact,) = [each for each in proof[1].outside if each["id"] == "the neighbour keeps answering"]
    assert fact["holds"], fact["observed"]


def test_the_proof_of_the_start_still_holds_after_everything_was_tried(proof: tuple[Rig, Report]) -> None:
    after = [each for each in proof[1].outside if each["id"].startswith("after: ")]
    assert len(after) > 50
    assert all(each["holds"] for each in after)


@pytest.mark.parametrize(
    "channel",
    [
        "socket-inet-tcp",
        "int80-socket",
        "io-uring-socket",
        "interfaces",
        "hub-variables",
        "lock-flock",
        "lock-record",
        "page-cache-mincore",
        "neighbour-tcp",
        "loop-files",
        "run-from-home",
        "link-in-home",
        "fork-bomb",
        "disk-fill-home",
        "log-flood",
        "no-filter",
    ],
)
def test_the_same_adversary_sees_the_difference(proof: tuple[Rig, Report], channel: str) -> None:
    """An adversary that is blocked everywhere would prove nothing: in a plain container it gets through."""
    expected = "blocked" if channel == "no-filter" else "open"  # even a plain container has the engine's own filter
    plain = {each["id"]: each["observed"] for each in proof[1].content["baseline"]["attempts"]}
    assert plain[channel] == expected


def test_the_report_can_be_checked_without_this_machine(proof: tuple[Rig, Report], tmp_path: Path) -> None:
    _, report = proof
    data, page = report.write(tmp_path)
    assert check(data.read_text("utf-8")).exit_code == 0
    assert "socket-vsock" in page.read_text("utf-8")


def test_nothing_of_the_proof_is_left(proof: tuple[Rig, Report]) -> None:
    rig, _ = proof
    assert not mounts_below(rig.settings.home)
    assert not list(rig.settings.run.glob("prove-*"))
    names = [each.name for each in rig.client.containers.list(all=True)]
    assert not [name for name in names if name.startswith(rig.settings.sandbox.container_prefix)]
