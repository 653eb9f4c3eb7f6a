"""What was run in a sandbox: for stewards of its data and auditors alone, with the proof that each release names."""

from __future__ import annotations

import hashlib
import json
import zipfile
from io import BytesIO

import pytest

from egress_gate.doors.book import StoreBook
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.trail import Event, digest_of
from egress_gate.policy.facts import Person
from egress_gate.service.check import check, claim
from egress_gate.service.errors import NotFound
from egress_gate.service.release import release
from egress_gate.service.sessions import session
from egress_gate.service.submit import caller, submit
from egress_gate.store import releases, sandboxes
from ledger import certificate
from provisioning.domain.mount_plan import MountedDataset, MountPlan
from provisioning.sandbox.facts import Fact
from provisioning.sandbox.isolation import Proof
from provisioning.service.sessions import sandbox_started
from store.blobs import Blobs
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, STELLA, World

CODE = 'print(nafld.age.mean())  # <script>alert("x")</script>'
PROOF = Proof((Fact("network mode", "none", "none"), Fact("routes", "0", "0")), "f" * 64, "runc")


@pytest.fixture
def started(world: World) -> str:
    """A sandbox with its proof on the record, as the spawner writes it."""
    mounted = MountedDataset("nafld", "nafld/1", world.settings.datasets / "nafld-1", ("nafld1",), {})
    plan = MountPlan("ana", 20001, "liver", "Survival", "guarded", {}, (1,), (mounted,))
    sandbox_started(world.database, plan, "c0ffee01", "liver", "box", "sha256:1", PROOF.described(), world.clock())
    return "c0ffee01"


@pytest.fixture
def ran(world: World, started: str) -> str:
    """One cell in it, as the session door writes it."""
    sandbox = Sandbox(
        id=started, person="ana", server_name="", prefix="/user/ana/", project="liver", view="guarded",
        token="t", folder=world.settings.sandboxes / started,
    )  # fmt: skip
    facts = {"who": "ana", "shown": "a" * 64, "shown_bytes": 17, "withheld": 2, "milliseconds": 40}
    code = CODE.encode()
    digest = hashlib.sha256(code).hexdigest()
    cell = Event("cell", digest, 17, facts, world.clock(), blob=code)
    shown = {"bytes": {"channels": 17}, "answers": {"channels": 1}}
    total = Event("shown", digest_of(shown), 17, shown, world.clock())
    StoreBook(world.database, Blobs(world.settings.blobs)).write([(sandbox, [cell, total])], world.clock())
    return started


@pytest.mark.parametrize("person", [ANA, AMIR, ADAM, Person("sven", frozenset({"stewards"}))])
def test_what_was_run_is_not_for_others(world: World, ran: str, person: Person) -> None:
    """Not even for its author's project, nor for whoever runs the installation, nor for a steward of other data."""
    with pytest.raises(NotFound):
        session(world.gate, person, ran, world.clock())


def test_a_sandbox_that_never_was_looks_the_same(world: World) -> None:
    with pytest.raises(NotFound):
        session(world.gate, AUDREY, "ffffffff", world.clock())


@pytest.mark.parametrize("person", [STELLA, AUDREY])
def test_each_executed_cell_is_there_with_its_code_and_what_it_showed(world: World, ran: str, person: Person) -> None:
    found = session(world.gate, person, ran, world.clock())
    (line,) = found.lines
    assert line.code == CODE
    assert (line.event.size, line.event.facts["shown"], line.event.facts["withheld"]) == (17, "a" * 64, 2)
    assert found.counts == {"cell": 1, "shown": 1}


def test_a_cell_whose_text_was_altered_is_not_shown_as_if_it_were_right(world: World, ran: str) -> None:
    (line,) = session(world.gate, AUDREY, ran, world.clock()).lines
    world.gate.blobs.path(line.event.digest).chmod(0o600)
    world.gate.blobs.path(line.event.digest).write_text("print('harmless')")
    (line,) = session(world.gate, AUDREY, ran, world.clock()).lines
    assert line.code is None


@pytest.mark.parametrize("name", ["stella", "audrey"])
def test_the_page_shows_code_as_text_and_every_fact_of_the_proof(world: World, ran: str, name: str) -> None:
    page = signed_in(make_desk(world), name).get(f"{PREFIX}sandboxes/{ran}").text
    assert "print(nafld.age.mean())" in page
    assert '<script>alert("x")' not in page
    assert "network mode" in page
    assert "2 facts hold" in page
    everything = signed_in(make_desk(world), name).get(f"{PREFIX}sandboxes/{ran}?kind=shown").text
    assert "channels" in everything
    assert "print(nafld" not in everything


def test_nothing_is_claimed_for_a_sandbox_without_a_start_on_the_record(world: World) -> None:
    with world.gate.store.read() as c:
        assert sandboxes.isolation(c, "5a") is None


def test_a_release_names_the_proof_of_its_sandbox(world: World, started: str) -> None:
    row = submit(world.gate, caller(world.gate, started), world.draft(), world.clock())
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    done = release(world.gate, world.prepared(world.reviewed(check(world.gate, held, world.clock()))), world.clock())
    with world.gate.store.read() as c:
        kept = releases.fetch(c, world.release_of(done))
    assert kept is not None
    with zipfile.ZipFile(BytesIO(world.gate.blobs.read(kept.bundle))) as archive:
        named = json.loads(archive.read(certificate.NAME))["statement"]["isolation"]
    (entry,) = world.entries("sandbox.started")
    assert named["proof"] == entry["facts"]["proof"]["sha256"]  # type: ignore[index]
    assert (named["profile"], named["runtime"], named["holds"]) == ("f" * 64, "runc", True)
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}releases/{kept.id}/trace").text
    assert named["proof"] in page
    assert f"{PREFIX}sandboxes/{started}" in page


def test_a_sandbox_without_proof_or_facts_says_so_and_breaks_nothing(world: World) -> None:
    """Rows from before, or of a batch that was cut: the page shows what there is."""
    sandbox = Sandbox("5a", "ana", "", "/user/ana/", "liver", "open", "t", world.settings.sandboxes / "5a")
    bare = Event("cell", "0" * 64, 3, {}, world.clock())
    StoreBook(world.database, Blobs(world.settings.blobs)).write([(sandbox, [bare])], world.clock())
    page = signed_in(make_desk(world), "audrey").get(f"{PREFIX}sandboxes/5a")
    assert page.status_code == 200
    assert "No proof is on the record." in page.text
    assert "is missing or no longer hashes" in page.text
