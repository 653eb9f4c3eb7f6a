"""Attacks on the desk from a signed-in person's browser, or from a page of somebody else's: other projects, forged forms, markup in every
name, headers, paths in downloads, what a page makes the gate do.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from starlette.testclient import TestClient

from egress_gate.notify.notifier import Notifier
from egress_gate.service.submit import submit
from ledger.entry import Entry
from store import schema as s
from tests.contract.test_desk_matrix import BODIES, TABLE
from tests.unit.gate.desks import PEOPLE, PREFIX, make_desk, signed_in
from tests.unit.gate.factory import SAFE, World, make_world

MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}${7*7}'
SHEET = json.dumps(
    {
        "source": MARKUP,
        "legal_basis": MARKUP,
        "retention_until": MARKUP,
        "from": MARKUP,
        "project": MARKUP,
        "twin_of": MARKUP,
    }
    | {"units": {f"nafld1.{MARKUP}": MARKUP}, "identifiers": {f"nafld1.{MARKUP}": MARKUP}}
    | {"keys": {f"nafld1.{MARKUP}": MARKUP}}
)
COLUMNS = json.dumps([{"name": MARKUP, "type": MARKUP, "meaning": MARKUP}])
TWIN = json.dumps(
    {"method": MARKUP, "epsilon": MARKUP, "tables": {MARKUP: {"rows": MARKUP, "columns": {MARKUP: MARKUP}}}}
)
PACKAGES = json.dumps([{"name": MARKUP, "version": MARKUP, "sha256": MARKUP, "file": MARKUP}])
LIVE = re.compile(r"<img src=x|<script>alert|onerror=alert\(1\)>", re.IGNORECASE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def another_project(world: World) -> None:
    """Data, a steward and a project that have nothing to do with ana and stella: all of it stefan's and amir's."""
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.dataset_steward).where(s.dataset_steward.c.person == "stefan").values(person="somebody"))
        t.record(Entry("steward.changed", "adam", {"dataset": "nafld"}))


PAGES = sorted({path for method, path in TABLE if method == "GET" and "oauth" not in path and "login" not in path})


@pytest.mark.parametrize("who", ["ana", "stella", "adam", "audrey"])
def test_no_text_of_anybody_is_markup_on_any_page(world: World, who: str) -> None:
    row = submit(
        world.gate,
        world.ana,
        world.draft(f"{SAFE} -- {MARKUP}", title=MARKUP, purpose=MARKUP, context=MARKUP),
        world.clock(),
    )
    released = world.released(title=MARKUP, purpose=MARKUP)
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.project).values(title=MARKUP, purpose=MARKUP))
        t.execute(update(s.dataset).values(title=MARKUP, provider=MARKUP, description=MARKUP, datasheet=SHEET))
        t.execute(update(s.dataset_table).values(unit=MARKUP, columns=COLUMNS))
        t.execute(update(s.dataset_version).values(recipe=SHEET, registered_by=MARKUP))
        t.execute(
            insert(s.dataset_twin).values(version="nafld/1", twin="nafld/1", facts=TWIN, made_at=t.at, made_by=MARKUP)
        )
        asked = {"person": MARKUP, "project": "liver", "name": MARKUP, "reason": MARKUP, "state": "open"}
        t.execute(insert(s.package_request).values(asked_at=t.at, **asked))
        shelf = {"digest": MARKUP, "lock": "", "packages": PACKAGES, "approved_by": MARKUP, "approved_at": t.at}
        t.execute(insert(s.shelf_edition).values(**shelf))
        t.execute(update(s.release).values(revoked_at=t.at, revoked_by=MARKUP, revoke_reason=MARKUP))
        t.execute(insert(s.sandbox_stop).values(sandbox="5b", asked_by=MARKUP, asked_at=t.at, reason=MARKUP))
        t.execute(
            insert(s.access_refusal).values(
                person=MARKUP, project=MARKUP, reasons=f'["{MARKUP[3:8]}"]', refused_at=t.at
            )
        )
        t.execute(insert(s.project_member).values(project="liver", person=MARKUP, added_at=t.at))
        facts = '{"code": "\\"><img src=x onerror=alert(1)>"}'
        event = {"sandbox": "5a", "time": t.at, "kind": "cell", "digest": MARKUP, "bytes": 1, "facts": facts}
        t.execute(insert(s.session_event).values(**event))
        t.record(Entry("project.extended", "adam", {"project": "liver", "person": MARKUP}, {"reason": MARKUP}))
    Notifier(world.gate.store, {}, world.clock).round()
    client = signed_in(make_desk(world), who)
    client.headers["accept-language"] = "zh"
    opened = 0
    for name in (row.name, released.name):
        for path in PAGES:
            address = path.format(
                name=name if "requests" in path else "liver" if "projects" in path else "ana",
                number=1,
                item="table1",
                sandbox="5a",
                dataset="nafld",
            )
            answer = client.get(PREFIX + address)
            if answer.headers.get("content-type", "").startswith("text/html"):
                opened += answer.status_code == 200
                assert not LIVE.search(answer.text), address
                assert "49" not in re.findall(r"\}\}|49\$", answer.text)
    assert opened > 4


def address_of(path: str, name: str = "R-2") -> str:
    number = name.removeprefix("R-")
    return PREFIX + path.format(
        name=name if "requests" in path else "liver", number=number, item="table1", sandbox="5a", dataset="nafld"
    )


@pytest.mark.parametrize("who", ["amir", "stefan", "nobody"])
def test_a_stranger_gets_nothing_of_another_project(world: World, who: str) -> None:
    """By number, name or address: nobody outside the project gets a byte of it, nor learns that it is there."""
    secret = "Only for the liver project"
    world.released(title=secret)
    world.checked(title=secret)
    another_project(world)
    before = len(world.entries())
    client = signed_in(make_desk(world), who)
    for method, path in (k for k in TABLE if "{" in k[1]):
        for name in ("R-1", "R-2", "R-99"):
            answer = client.request(method, address_of(path, name), **BODIES.get(path, {}))  # type: ignore[arg-type]
            assert answer.status_code >= 300, (method, path)
            assert secret not in answer.text
            assert not answer.headers.get("content-type", "").startswith(("application/zip", "image/"))
    assert len(world.entries()) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_site_does_nothing_even_with_the_secret(world: World, site: str) -> None:
    world.released()
    world.checked()
    before = len(world.entries())
    for who in ("ana", "stella", "adam", "audrey"):
        client = signed_in(make_desk(world), who)
        client.headers["sec-fetch-site"] = site
        for method, path in (k for k in TABLE if k[0] == "POST"):
            answer = client.request(method, address_of(path), **BODIES.get(path, {}))  # type: ignore[arg-type]
            assert answer.status_code == 403, (who, path)
    assert len(world.entries()) == before


@pytest.mark.parametrize("secret", [b"", b"x", b"\xc3\xbc", b"x" * 5000])
def test_a_guessed_secret_is_refused(world: World, secret: bytes) -> None:
    client = signed_in(make_desk(world), "adam")
    del client.headers["x-csrf-token"]
    form = {"move": "freeze", "reason": "No."}
    answer = client.post(f"{PREFIX}admin/projects/liver/state", data=form, headers={b"x-csrf-token": secret})  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert world.entries("project.frozen") == []


@pytest.mark.parametrize(
    "path",
    [
        "releases/../../../etc/passwd/download",
        "releases/1%2f..%2f2/download",
        "releases/1%00/download",
        "releases/-1/download",
        "releases/1e3/download",
        "static/..%2f..%2fsecurity.py",
        "static/%2e%2e/%2e%2e/session.py",
        "static//etc/passwd",
        "requests/R-1%0d%0aSet-Cookie:%20x=1",
        "people/..%2f..%2fadmin",
    ],
)
def test_a_path_leads_nowhere_else(world: World, path: str) -> None:
    world.released()
    for who in ("ana", "audrey"):
        answer = signed_in(make_desk(world), who).get(PREFIX + path)
        assert "root:" not in answer.text
        assert "import" not in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers.get("content-type", "") != "application/zip"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        f"{PREFIX}\r\nSet-Cookie: x=1",
        "javascript:alert(1)",
        f"{PREFIX}../../evil",
    ],
)
def test_nobody_is_led_away(world: World, target: str) -> None:
    client = signed_in(make_desk(world), "ana")
    answer = client.post(f"{PREFIX}preferences", data={"theme": "dark", "back": target})
    assert answer.headers["location"].startswith(PREFIX)
    assert "\n" not in answer.headers["location"]
    assert "x" not in answer.cookies


@pytest.mark.parametrize("name", ['a"; filename="evil.exe', "a\r\nX-Evil: 1", "../../a", "b" * 300])
def test_no_name_of_an_output_reaches_a_header(world: World, name: str) -> None:
    row = world.released()
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.request_item).where(s.request_item.c.request == row.id).values(name=name))
        t.record(Entry("request.delayed", "gate", {"request": row.name, "project": "liver"}))
    answer = signed_in(make_desk(world), "ana").get(f"{PREFIX}releases/1/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="R-1.zip"'
    assert "x-evil" not in answer.headers


def test_an_administrators_words_cannot_name_another_project_or_person(world: World) -> None:
    client = signed_in(make_desk(world), "adam")
    for member in ("ana\r\nbcc: x", "<b>x</b>", "", " ", "x" * 150, "../ana"):
        answer = client.post(f"{PREFIX}admin/projects/liver/members", data={"member": member})
        assert answer.status_code == 422
    for path in ("no-such", "liver'--", "liver%00", "..%2fliver"):
        assert client.post(
            f"{PREFIX}admin/projects/{path}/state", data={"move": "close", "reason": "x"}
        ).status_code in (404, 405)
    assert world.entries("member.added") == []
    assert world.entries("project.closed") == []


def test_no_search_reads_more_than_the_ledger(world: World) -> None:
    world.released()
    client = signed_in(make_desk(world), "audrey")
    for words in ("' OR 1=1 --", "%", "_", "*", '"; DROP TABLE ledger_entry; --', "\x00", "ledger_entry"):
        page = client.get(f"{PREFIX}ledger", params={"q": words})
        assert page.status_code in (200, 422)
        assert "No entries" in page.text or page.status_code == 422
    assert client.get(f"{PREFIX}ledger?kind=%25").status_code == 422


def every_page_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(PREFIX + path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_every_page_has_the_headers_that_keep_it_to_itself(world: World) -> None:
    world.released()
    for who in PEOPLE:
        client = signed_in(make_desk(world), who)
        for path in ("requests", "releases", "notices", "ledger", "admin", "policy", "no-such-page", "api/v1/requests"):
            every_page_has_the_headers(client, path)


@pytest.mark.parametrize("name", ["%", "_", "nafl%", "nafld'", "nafld%2f1", "NAFLD", "nafld/1", "..%2fshelf"])
def test_a_dataset_is_found_by_its_whole_name_alone(world: World, name: str) -> None:
    world.released()
    for who in ("stella", "adam", "ana"):
        answer = signed_in(make_desk(world), who).get(f"{PREFIX}data/{name}")
        assert answer.status_code == 404, (who, answer.text[:200])
        assert "clinic" not in answer.text
