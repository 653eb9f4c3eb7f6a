"""What an auditor can read: the ledger by name, a project's life, a person's trail, what ran inside; and take with them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from egress_gate.desk.i18n import translations
from egress_gate.service.export import export_ledger
from egress_gate.service.verify import verify_ledger
from egress_gate.store import audit
from installation.settings import CHECKOUT
from ledger.entry import Entry
from ledger.export import ExportedLog
from ledger.verify import verify_log
from store import schema as s
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import AUDREY, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def executed(world: World, digest: str, kind: str = "cell") -> None:
    with world.gate.store.transaction(world.clock()) as t:
        at = stamp(world.clock())
        t.execute(insert(s.session_event).values(sandbox="5a", time=at, kind=kind, digest=digest, bytes=12, facts="{}"))
        t.record(Entry("session.recorded", "ana", {"sandbox": "5a", "project": "liver", "person": "ana"}))


def exported(world: World, folder: Path) -> Path:
    path = folder / "ledger.jsonl"
    path.write_bytes(b"".join(export_ledger(world.gate, AUDREY, world.clock()).chunks))
    return path


def test_a_projects_life_holds_every_step_newest_first(world: World) -> None:
    world.released()
    with world.gate.store.read() as c:
        found = audit.life(c, "project", "liver")
    kinds = [e.kind for e in found.events]
    assert kinds[-1] == "project.created"
    assert {"request.submitted", "request.checked", "review.given", "request.released"} <= set(kinds)
    assert [e.seq for e in found.events] == sorted((e.seq for e in found.events), reverse=True)
    assert found.kinds["review"] == 1


def test_a_timeline_is_paged_without_gap_or_repetition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released()
    monkeypatch.setattr(audit, "PAGE", 3)
    seen: list[int] = []
    before = None
    with world.gate.store.read() as c:
        while True:
            page = audit.life(c, "project", "liver", before=before)
            seen += [e.seq for e in page.events]
            before = page.older
            if before is None:
                break
        monkeypatch.setattr(audit, "PAGE", 1000)
        assert seen == [e.seq for e in audit.life(c, "project", "liver").events]


def test_a_persons_trail_is_what_they_did_and_what_was_done_about_them(world: World) -> None:
    world.reviewed(world.checked())
    executed(world, "a" * 64)
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(insert(s.project_member).values(project="liver", person="bo", added_at=t.at))
        t.record(Entry("member.added", "adam", {"project": "liver", "person": "bo"}))
    with world.gate.store.read() as c:
        assert [e.kind for e in audit.trail(c, "bo").events] == ["member.added"]
        assert {"request.submitted", "session.recorded"} <= {e.kind for e in audit.trail(c, "ana").events}
        assert {e.kind for e in audit.trail(c, "stella", family="review").events} == {"review.given"}


def test_executed_cells_are_shown_by_their_digests(world: World) -> None:
    executed(world, "a" * 64)
    executed(world, "b" * 64, kind="shown")
    client = signed_in(make_desk(world), "audrey")
    cells = client.get(f"{PREFIX}people/ana/cells").text
    assert "a" * 64 in cells
    assert "b" * 64 not in cells
    assert "b" * 64 in client.get(f"{PREFIX}people/ana/cells?kind=").text
    assert "a" * 64 not in client.get(f"{PREFIX}people/amir/cells").text


@pytest.mark.parametrize("words", ["R-1", "liver", "stella", "review.given"])
def test_the_ledger_is_found_by_name_actor_or_kind(world: World, words: str) -> None:
    world.reviewed(world.checked())
    with world.gate.store.read() as c:
        assert "review.given" in {e.kind for e in audit.found(c, words).events}
        assert not audit.found(c, "liv").events


def test_an_export_verifies_offline_and_says_who_took_it(world: World, tmp_path: Path) -> None:
    world.released()
    path = exported(world, tmp_path)
    report = verify_log(ExportedLog(path), world.gate.ledger_key)
    assert report.ok
    assert report.size == len(world.entries())
    (entry,) = world.entries("ledger.exported")
    assert entry["actor"] == "audrey"


def test_the_stand_alone_verifier_reads_the_export(world: World, tmp_path: Path) -> None:
    path = exported(world, tmp_path)
    verifier = CHECKOUT / "verifier" / "glovebox_verify.py"
    command = [sys.executable, "-I", str(verifier), str(path), "--key", str(world.settings.home / "ledger.pub")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    lines = path.read_text().splitlines()
    changed = json.loads(lines[0])
    changed["leaf"] = "0" * 64
    path.write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_the_page_sends_the_export_as_a_file(world: World, tmp_path: Path) -> None:
    answer = signed_in(make_desk(world), "audrey").post(f"{PREFIX}ledger/export")
    assert re.fullmatch(r'attachment; filename="glovebox-ledger-\d+\.jsonl"', answer.headers["content-disposition"])
    (tmp_path / "l.jsonl").write_bytes(answer.content)
    assert verify_log(ExportedLog(tmp_path / "l.jsonl"), world.gate.ledger_key).ok


def test_a_kept_checkpoint_is_extended_by_its_own_log_only(world: World, tmp_path: Path) -> None:
    world.submitted()
    with world.gate.store.read() as c:
        kept = audit.checkpoint_at(c) or ""
    world.released()
    assert verify_ledger(world.gate, kept).ok
    other = make_world(tmp_path / "other")
    other.released()
    with other.gate.store.read() as c:
        foreign = audit.checkpoint_at(c) or ""
    assert not verify_ledger(world.gate, foreign).ok
    client = signed_in(make_desk(world), "audrey")
    page = client.post(f"{PREFIX}ledger/verify", data={"kept": kept.replace("\n", "\r\n")}).text
    assert "The ledger holds" in page
    assert "alert-danger" in client.post(f"{PREFIX}ledger/verify", data={"kept": "nonsense"}).text


def test_the_api_gives_the_head_over_a_size(world: World) -> None:
    world.submitted()
    client = signed_in(make_desk(world), "audrey")
    assert client.get(f"{PREFIX}api/v1/ledger/checkpoint?size=1").text.splitlines()[1] == "1"
    assert client.get(f"{PREFIX}api/v1/ledger/checkpoint?size=9999").status_code == 404


KIND = re.compile(r'Entry\(\s*"([a-z]+\.[a-z_]+)"')


def test_every_kind_of_entry_has_words_in_both_languages() -> None:
    paths = [*(CHECKOUT / "egress_gate").rglob("*.py"), *(CHECKOUT / "provisioning" / "service").glob("*.py")]
    kinds = {kind for path in paths for kind in KIND.findall(path.read_text("utf-8"))}
    assert len(kinds) > 10
    for language in ("en", "zh_Hans"):
        words = translations(language)
        assert not [k for k in sorted(kinds) if words.gettext(k) == k], language
