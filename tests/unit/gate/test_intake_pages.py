"""A dataset from a file in the intake folder to a steward's confirmation, on the pages alone and through the real readers."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import openpyxl
import pytest
from starlette.testclient import TestClient

from egress_gate.service.intake import Job
from provisioning.service import catalogue
from store.database import Database
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world
from workbench.runtime import hub_process, intake
from workbench.runtime.intake import IntakeFolder

FILE = "Visits 2026.csv"
ASKED = {
    "file": FILE,
    "table.0": "visits",
    "unit.0": "id",
    "dataset": "visits",
    "title": "Visits of a clinic",
    "description": "One row for each visit.",
    "provider": "clinic",
    "level": "3",
    "stewards": "stella\nstefan",
    "missing": "n/a",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


@pytest.fixture
def adam(world: World) -> TestClient:
    return signed_in(make_desk(world), "adam")


def deliver(world: World, rows: list[str], name: str = FILE) -> Path:
    folder = world.settings.home / intake.FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(["id,姓名,age,weight <b>kg</b>", *rows]), "utf-8")
    return path


ROWS = [f"{n},王小明,{20 + n % 60},n/a" for n in range(60)]


def ended(world: World, number: str) -> Job:
    folder, end = IntakeFolder(world.settings), time.monotonic() + 60
    while time.monotonic() < end:
        found = folder.job(number)
        assert found is not None
        if found.state != "reading":
            return found
        time.sleep(0.05)
    raise AssertionError("the registration did not end")


def test_from_the_folder_to_a_stewards_confirmation(world: World, adam: TestClient) -> None:
    deliver(world, ROWS)
    assert FILE in adam.get(f"{PREFIX}admin/intake").text
    page = adam.get(f"{PREFIX}admin/intake/new", params={"file": FILE}).text
    assert "person&#39;s name" in page
    assert "weight &lt;b&gt;kg&lt;/b&gt;" in page
    assert '<option value="3" selected>' in page
    sent = adam.post(f"{PREFIX}admin/intake/new", data=ASKED)
    assert sent.status_code == 303, sent.text[:3000]
    job = ended(world, sent.headers["location"].rpartition("/")[2])
    assert (job.state, job.version) == ("registered", "visits/1"), job.fault
    assert "visits/1 is registered." in adam.get(sent.headers["location"]).text
    with Database.open(world.settings).read() as c:
        (table,) = catalogue.tables_of(c, "visits/1")
    assert (table.name, table.rows, table.unit) == ("visits", 60, "id")
    (scanned,) = world.entries("dataset.scanned")
    assert (scanned["actor"], scanned["facts"]["proposed_level"]) == ("adam", 3)  # type: ignore[index]
    assert world.entries("dataset.registered")[-1]["actor"] == "adam"

    stella = signed_in(make_desk(world), "stella")
    shown = stella.get(f"{PREFIX}data/visits").text
    assert "wait for you: confirm or correct them" in shown
    assert '<option value="direct" selected>' in shown
    form = {"source": "The clinic's own system", "identifier.visits.姓名": "direct", "identifier.visits.id": "quasi"}
    form |= {"identifier.visits.age": "quasi", "key.visits.id": "visits.id"}
    bad = stella.post(f"{PREFIX}data/visits/description", data={**form, "retention_until": "soon"})
    assert bad.status_code == 422
    assert "The clinic&#39;s own system" in bad.text
    stella.post(f"{PREFIX}data/visits/description", data={**form, "unit.visits.age": "years"})
    (said,) = world.entries("dataset.described")
    assert said["actor"] == "stella"
    after = stella.get(f"{PREFIX}data/visits").text
    assert "wait for you" not in after
    assert "years" in after
    for name, status in (("adam", 403), ("ana", 404)):
        answer = signed_in(make_desk(world), name).post(f"{PREFIX}data/visits/description", data=form)
        assert answer.status_code == status


def test_rows_that_cannot_be_read_stop_it_with_their_lines_and_nothing_is_kept(world: World, adam: TestClient) -> None:
    deliver(world, [*ROWS, "61,王小明"])
    sent = adam.post(f"{PREFIX}admin/intake/new", data=ASKED)
    job = ended(world, sent.headers["location"].rpartition("/")[2])
    assert job.state == "refused"
    page = adam.get(sent.headers["location"]).text
    assert "line 62" in page
    assert "Nothing of the delivery was kept." in page
    assert world.entries("dataset.registered") == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"level": "9"}, "It has no level."),
        ({"unit.0": ""}, "It is not said whom the rows of"),
        ({"leave_out": "many"}, "is not a number"),
        ({"level": "2", "spoken": "3"}, "speak for a higher level"),
    ],
)
def test_a_bad_form_begins_nothing_and_comes_back_as_it_was(
    world: World, adam: TestClient, wrong: dict[str, str], why: str
) -> None:
    deliver(world, ROWS)
    answer = adam.post(f"{PREFIX}admin/intake/new", data={**ASKED, **wrong})
    assert answer.status_code == 422
    assert why in answer.text
    assert "One row for each visit." in answer.text
    assert IntakeFolder(world.settings).jobs() == ()


def test_a_lower_level_is_registered_only_when_it_is_confirmed(world: World, adam: TestClient) -> None:
    deliver(world, ROWS)
    for confirmed, state in (("", "refused"), ("yes", "registered")):  # the page's own word for it was taken out
        sent = adam.post(f"{PREFIX}admin/intake/new", data={**ASKED, "level": "2", "confirmed": confirmed})
        job = ended(world, sent.headers["location"].rpartition("/")[2])
        assert job.state == state, job.fault
    (scanned,) = world.entries("dataset.scanned")
    assert scanned["facts"]["lower_level_confirmed_by"] == "adam"  # type: ignore[index]
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}data/visits").text
    assert "The lower level was confirmed by adam." in page


def test_a_new_version_is_asked_for_with_the_words_of_the_first(world: World, adam: TestClient) -> None:
    deliver(world, ROWS)
    page = adam.get(f"{PREFIX}admin/intake/new", params={"file": FILE, "known": "nafld"}).text
    assert 'value="NAFLD"' in page
    assert "stefan\nstella</textarea>" in page


def test_a_file_that_is_no_table_says_so_over_the_folder(world: World, adam: TestClient) -> None:
    (deliver(world, ROWS).parent / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    answer = adam.get(f"{PREFIX}admin/intake/new", params={"file": "broken.parquet"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert FILE in answer.text


def test_a_registration_whose_process_died_is_over(world: World, adam: TestClient) -> None:
    job = {"id": "a" * 16, "dataset": "visits", "actor": "adam", "begun_at": "2026-11-23T09:00:00.000000Z"}
    own = {"pid": os.getpid(), "began": hub_process.beginning(os.getpid())}
    intake.write(world.settings, {**job, "state": "reading", **own})
    running = adam.get(f"{PREFIX}admin/intake/jobs/{'a' * 16}").text
    assert 'hx-trigger="every 1s"' in running
    deliver(world, ROWS)
    second = adam.post(f"{PREFIX}admin/intake/new", data=ASKED)
    assert second.status_code == 422
    assert "Another registration is under way." in second.text
    intake.write(world.settings, {**job, "state": "reading", **own, "began": "1"})
    assert "ended before its time" in adam.get(f"{PREFIX}admin/intake/jobs/{'a' * 16}").text


MASKED = {
    **ASKED,
    "project": "liver",
    "do.0.姓名": "drop",
    "do.0.age": "bins",
    "with.0.age": "30, 50",
    "quasi.0": "age",
}


def test_masking_is_measured_before_anything_is_kept(world: World, adam: TestClient) -> None:
    deliver(world, ROWS)
    page = adam.post(f"{PREFIX}admin/intake/measure", data=MASKED).text
    assert "What the masking does" in page
    before, after = re.findall(r'data-label="Smallest group \(k\)">(\d+)<', page.replace("'", '"'))
    assert (int(before), int(after)) == (1, 10)
    assert "30, 50" in page
    assert '<option value="drop" selected>' in page
    assert '"edges": [30, 50]' in page.replace("&#34;", '"')
    assert "As it would be stored, the columns speak for 2" in page
    assert world.entries("dataset.registered") == []
    assert not (world.settings.secrets / "masking").exists()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"project": ""}, "Masking needs a project"),
        ({"with.0.age": "old"}, "is not what the rule for"),
        ({"do.0.id": "drop"}, "only a pseudonym keeps people countable"),
        ({"do.0.age": "redact"}, "does not fit column"),
        ({"do.0.age": "hierarchy", "with.0.age": "../secrets/ledger.key, up"}, "does not lie beside"),
        ({"quasi.0": "姓名"}, "is measured but not in"),
    ],
)
def test_masking_that_cannot_be_comes_back_with_why(
    world: World, adam: TestClient, wrong: dict[str, str], why: str
) -> None:
    deliver(world, ROWS)
    answer = adam.post(f"{PREFIX}admin/intake/measure", data={**MASKED, **wrong})
    assert answer.status_code == 422
    assert why in answer.text
    assert "One row for each visit." in answer.text


def test_what_is_masked_on_the_way_in_is_on_record_and_fills_the_next_form(world: World, adam: TestClient) -> None:
    deliver(world, ROWS)
    sent = adam.post(f"{PREFIX}admin/intake/new", data={**MASKED, "level": "2", "spoken": "3"})
    job = ended(world, sent.headers["location"].rpartition("/")[2])
    assert job.version == "visits/1", job.fault
    with Database.open(world.settings).read() as c:
        (table,) = catalogue.tables_of(c, "visits/1")
    assert [column.name for column in table.columns] == ["id", "age", "weight <b>kg</b>"]
    (entry,) = [e for e in world.entries("dataset.registered") if e["subject"]["dataset"] == "visits"]  # type: ignore[index]
    assert entry["facts"]["masked_for"] == "liver"  # type: ignore[index]
    assert "as visits/1 for liver" in adam.get(f"{PREFIX}admin/intake").text
    (deliver(world, ROWS, "visits.csv"))
    page = adam.get(f"{PREFIX}admin/intake/new", params={"file": "visits.csv", "like": "visits/1", "known": "visits"})
    assert 'name="with.0.age" maxlength="2000"' in page.text
    assert 'value="30, 50"' in page.text
    assert '<option value="liver" selected>' in page.text


def test_worksheets_types_and_meanings_come_from_the_page(world: World, adam: TestClient) -> None:
    book = openpyxl.Workbook()
    people, labs = book.active, book.create_sheet("Labs 1")
    assert people is not None
    people.title = "people"
    for sheet, header in ((people, ("id", "age")), (labs, ("id", "hb"))):
        sheet.append(header)
        for n in range(30):
            sheet.append((n, n % 7))
    path = deliver(world, ROWS).parent / "book.xlsx"
    book.save(path)
    query = {"file": "book.xlsx", "sheets.book.xlsx": "people, Labs 1", "delimiter": ";"}
    page = adam.get(f"{PREFIX}admin/intake/new", params=query).text
    assert 'name="table.1" required maxlength="63" pattern="[a-z][a-z0-9_]*" autocomplete="off" value="labs_1"' in page
    assert 'name="sheet.1" value="Labs 1"' in page
    form = {
        **{k: v for k, v in ASKED.items() if not k.startswith(("table", "unit", "file"))},
        "file": ["book.xlsx", "book.xlsx"],
        "sheet.0": "people",
        "sheet.1": "Labs 1",
        "unit.0": "id",
        "unit.1": "id",
        "type.0.id": "VARCHAR",
        "meaning.1.hb": "Haemoglobin, g/dl",
    }
    sent = adam.post(f"{PREFIX}admin/intake/new", data=form)
    job = ended(world, sent.headers["location"].rpartition("/")[2])
    assert job.version == "visits/1", job.fault
    with Database.open(world.settings).read() as c:
        tables = {table.name: table for table in catalogue.tables_of(c, "visits/1")}
    assert {c.name: (c.type, c.meaning) for c in tables["labs_1"].columns}["hb"] == ("BIGINT", "Haemoglobin, g/dl")
    assert tables["people"].columns[0].type == "VARCHAR"


def test_a_delimiter_that_is_said_is_used(world: World, adam: TestClient) -> None:
    (deliver(world, ROWS).parent / "pipes.csv").write_text("id|a,b\n1|x,y\n2|z,w\n", "utf-8")
    page = adam.get(f"{PREFIX}admin/intake/new", params={"file": "pipes.csv", "delimiter": "|"}).text
    assert 'name="meaning.0.a,b"' in page
    assert 'name="delimiter" value="|"' in page
