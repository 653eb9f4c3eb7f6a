"""Every endpoint of the desk × every role, written out. A new endpoint that is not in the table fails the test."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from httpx import Response
from starlette.testclient import TestClient

from egress_gate.desk.context import Desk
from egress_gate.domain.request import State
from tests.benchmarks.desk import AT, NO_PAGE
from tests.unit.gate.desks import PREFIX, browser, make_desk, signed_in
from tests.unit.gate.factory import SAFE, World, make_world

ROLES = ("ana", "amir", "stella", "adam", "audrey", "nobody", "signed-out")
# The author, an analyst of no project, the data's steward, an admin, an auditor, somebody without a role, nobody.
# Each request refers to R-1, in review, by ana; release 1 is hers too.
OK = 200
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    ("GET", ""): (302, 302, 302, 302, 302, 302, 302),
    ("GET", "queue"): (403, 403, OK, 403, OK, 403, 302),
    ("GET", "requests"): (OK, OK, OK, OK, OK, OK, 302),
    ("GET", "requests/{name}"): (OK, 404, OK, 404, OK, 404, 302),
    ("GET", "new"): (OK, OK, 403, 403, 403, 403, 302),
    ("POST", "new"): (303, 404, 403, 403, 403, 403, 401),
    ("GET", "requests/{name}/revise"): (403, 404, 403, 404, 403, 404, 302),
    ("POST", "requests/{name}/revise"): (403, 404, 403, 404, 403, 404, 401),
    ("GET", "requests/{name}/live"): (OK, 404, OK, 404, OK, 404, 302),
    ("GET", "requests/{name}/figures/{item}"): (404, 404, 404, 404, 404, 404, 302),
    ("GET", "requests/{name}/notebooks/{item}"): (404, 404, 404, 404, 404, 404, 302),
    ("POST", "requests/{name}/review"): (403, 404, 303, 404, 403, 404, 401),
    ("POST", "requests/{name}/rerun"): (404, 404, 404, 404, 404, 404, 401),  # its output is no notebook
    ("POST", "requests/{name}/withdraw"): (303, 404, 403, 404, 403, 404, 401),
    ("POST", "requests/{name}/message"): (303, 404, 303, 404, 403, 404, 401),
    ("GET", "releases"): (OK, OK, OK, OK, OK, OK, 302),
    ("GET", "releases/{number}/download"): (OK, 404, 403, 404, 403, 404, 302),
    ("POST", "releases/{number}/revoke"): (403, 404, 303, 404, 403, 404, 401),
    ("GET", "releases/{number}/trace"): (404, 404, OK, 404, OK, 404, 302),
    ("GET", "votes"): (403, 403, OK, 403, 403, 403, 302),
    ("POST", "votes"): (403, 403, 303, 403, 403, 403, 401),
    ("POST", "votes/{number}/end"): (404, 404, 404, 404, 404, 404, 401),
    ("GET", "notices"): (OK, OK, OK, OK, OK, OK, 302),
    ("POST", "notices/read"): (303, 303, 303, 303, 303, 303, 401),
    ("GET", "policy"): (403, 403, 403, OK, OK, 403, 302),
    ("POST", "policy/replay"): (403, 403, 403, OK, OK, 403, 401),
    ("GET", "ledger"): (403, 403, 403, 403, OK, 403, 302),
    ("POST", "ledger/verify"): (403, 403, 403, 403, OK, 403, 401),
    ("POST", "ledger/export"): (403, 403, 403, 403, OK, 403, 401),
    ("GET", "people/{name}/cells"): (403, 403, 403, 403, OK, 403, 302),
    ("GET", "projects/{name}"): (403, 403, 403, 403, OK, 403, 302),
    ("GET", "people/{name}"): (403, 403, 403, 403, OK, 403, 302),
    ("GET", "admin"): (403, 403, 403, OK, OK, 403, 302),
    ("GET", "admin/projects"): (403, 403, 403, OK, OK, 403, 302),
    ("GET", "admin/projects/{name}"): (403, 403, 403, OK, OK, 403, 302),
    ("GET", "admin/new-project"): (403, 403, 403, OK, 403, 403, 302),
    ("POST", "admin/new-project"): (403, 403, 403, 303, 403, 403, 401),
    ("GET", "admin/intake"): (403, 403, 403, OK, 403, 403, 302),
    ("GET", "admin/intake/new"): (403, 403, 403, 422, 403, 403, 302),  # no file is chosen
    ("POST", "admin/intake/new"): (403, 403, 403, 422, 403, 403, 401),
    ("GET", "admin/intake/jobs/{number}"): (403, 403, 403, 404, 403, 403, 302),
    ("POST", "admin/intake/look"): (403, 403, 403, 422, 403, 403, 401),  # no server is named
    ("POST", "admin/intake/measure"): (403, 403, 403, 422, 403, 403, 401),
    ("POST", "admin/intake/files/remove"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "api/v1/intake/files"): (403, 403, 403, 201, 403, 403, 401),
    ("GET", "admin/people"): (403, 403, 403, OK, OK, 403, 302),
    ("POST", "admin/people"): (403, 403, 403, OK, 403, 403, 401),
    ("POST", "admin/people/{name}/role"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/people/{name}/disable"): (403, 403, 403, 303, 403, 403, 401),
    ("GET", "admin/data"): (403, 403, 403, OK, OK, 403, 302),
    ("POST", "admin/projects/{name}/state"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/projects/{name}/end"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/projects/{name}/terms"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/projects/{name}/assessment"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/projects/{name}/members"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/projects/{name}/members/remove"): (403, 403, 403, 303, 403, 403, 401),
    ("POST", "admin/sandboxes/{sandbox}/stop"): (403, 403, 403, 303, 403, 403, 401),
    ("GET", "sandboxes/{sandbox}"): (404, 404, OK, 404, OK, 404, 302),
    ("GET", "data"): (403, 403, OK, OK, OK, 403, 302),
    ("GET", "data/{dataset}"): (404, 404, OK, OK, OK, 404, 302),
    ("GET", "data/{dataset}/usage.csv"): (404, 404, OK, OK, OK, 404, 302),
    ("POST", "data/{dataset}/description"): (404, 404, 303, 403, 403, 404, 401),
    ("POST", "data/{dataset}/grants"): (404, 404, 303, 403, 403, 404, 401),
    ("POST", "data/{dataset}/grants/{number}/revoke"): (404, 404, 303, 403, 403, 404, 401),
    ("POST", "data/{dataset}/grants/{number}/quotas"): (404, 404, 303, 403, 403, 404, 401),
    ("GET", "shelf"): (OK, OK, 403, OK, 403, 403, 302),
    ("POST", "preferences"): (303, 303, 303, 303, 303, 303, 401),
    ("GET", "login"): (302, 302, 302, 302, 302, 302, 302),
    ("GET", "oauth_callback"): (403, 403, 403, 403, 403, 403, 403),
    ("POST", "logout"): (303, 303, 303, 303, 303, 303, 401),
    ("GET", "api/v1/session"): (OK, OK, OK, OK, OK, OK, 401),
    ("GET", "api/v1/requests"): (OK, OK, OK, OK, OK, OK, 401),
    ("GET", "api/v1/requests/{name}"): (OK, 404, OK, 404, OK, 404, 401),
    ("GET", "api/v1/requests/{name}/history"): (OK, 404, OK, 404, OK, 404, 401),
    ("POST", "api/v1/requests/{name}/approve"): (403, 404, OK, 404, 403, 404, 401),
    ("POST", "api/v1/requests/{name}/return"): (403, 404, OK, 404, 403, 404, 401),
    ("POST", "api/v1/requests/{name}/reject"): (403, 404, OK, 404, 403, 404, 401),
    ("POST", "api/v1/requests/{name}/rerun"): (404, 404, 404, 404, 404, 404, 401),
    ("POST", "api/v1/requests/{name}/withdraw"): (OK, 404, 403, 404, 403, 404, 401),
    ("GET", "api/v1/releases"): (OK, OK, OK, OK, OK, OK, 401),
    ("GET", "api/v1/releases/{number}/download"): (OK, 404, 403, 404, 403, 404, 401),
    ("POST", "api/v1/releases/{number}/revoke"): (403, 404, OK, 404, 403, 404, 401),
    ("GET", "api/v1/usage"): (403, 403, 403, OK, OK, 403, 401),
    ("GET", "api/v1/usage.csv"): (403, 403, 403, OK, OK, 403, 401),
    ("GET", "api/v1/quotas"): (403, 403, 403, OK, OK, 403, 401),
    ("GET", "api/v1/metrics"): (403, 403, 403, OK, OK, 403, 401),
    ("GET", "api/v1/ledger/checkpoint"): (403, 403, 403, 403, OK, 403, 401),
    ("GET", "api/v1/ledger/entries"): (403, 403, 403, 403, OK, 403, 401),
    ("GET", "api/v1/ledger/verify"): (403, 403, 403, 403, OK, 403, 401),
}
ASKED = {
    "sandbox": "5a",
    "title": "Sex",
    "purpose": "A paper",
    "context": "All adults of 2019.",
    "name.0": "t",
    "sql.0": SAFE,
}
BODIES = {
    "new": {"data": ASKED},
    "requests/{name}/review": {"data": {"verdict": "approve", "reason": "Fine.", "revision": "1"}},
    "requests/{name}/rerun": {"data": {"output": "t", "revision": "1"}},
    "api/v1/requests/{name}/rerun": {"json": {"output": "t", "revision": 1}},
    "requests/{name}/message": {"data": {"body": "Why age?", "audience": "author"}},
    "releases/{number}/revoke": {"data": {"reason": "Wrong."}},
    "votes": {"data": {"dataset": "nafld", "delegate": "stefan", "until": "2026-12-01"}},
    "admin/projects/{name}/state": {"data": {"move": "freeze", "reason": "Looked odd."}},
    "admin/projects/{name}/end": {"data": {"until": "2027-12-01"}},
    "admin/projects/{name}/terms": {"data": {"title": "Another title", "output_plan": "One table a month."}},
    "admin/projects/{name}/assessment": {"data": {"confirmed": "purpose_needs_it"}},
    "admin/projects/{name}/members": {"data": {"member": "amir"}},
    "admin/projects/{name}/members/remove": {"data": {"member": "ana"}},
    "admin/sandboxes/{sandbox}/stop": {"data": {"reason": "Looked odd."}},
    "admin/new-project": {
        "data": {
            "name": "kidney",
            "title": "Kidneys",
            "purpose": "Survival",
            "sponsor": "clinic",
            "until": "2027-12-01",
        }
    },
    "admin/intake/files/remove": {"data": {"name": "visits.csv"}},
    "api/v1/intake/files": {
        "params": {"name": "more.csv"},
        "content": b"id\n1\n",
        "headers": {"content-type": "application/octet-stream"},
    },
    "admin/people": {"data": {"name": "nils", "role": "analyst"}},
    "admin/people/{name}/role": {"data": {"role": "auditor"}},
    "admin/people/{name}/disable": {"data": {"reason": "Left."}},
    "data/{dataset}/description": {"data": {"source": "A clinic"}},
    "data/{dataset}/grants": {"data": {"project": "liver", "version": "1", "until": "2027-12-01", "quota.cells": "9"}},
    "data/{dataset}/grants/{number}/revoke": {"data": {"reason": "Consent ended."}},
    "data/{dataset}/grants/{number}/quotas": {"data": {"reason": "Too many.", "quota.cells": "9"}},
    "notices/read": {"data": {"upto": "5"}},
    "preferences": {"data": {"language": "zh_Hans", "back": PREFIX}},
    "api/v1/requests/{name}/approve": {"json": {"reason": "Fine."}},
    "api/v1/requests/{name}/return": {"json": {"reason": "Why age?"}},
    "api/v1/requests/{name}/reject": {"json": {"reason": "Too fine."}},
    "api/v1/releases/{number}/revoke": {"json": {"reason": "Wrong."}},
}
CASES = [(m, p, r, s) for (m, p), statuses in TABLE.items() for r, s in zip(ROLES, statuses, strict=True)]


def routes(desk: Desk) -> set[tuple[str, str]]:
    """Method and path of every endpoint, found in the application itself, however it was added."""
    found: set[tuple[str, str]] = set()

    def walk(items: object) -> None:
        for route in items:  # type: ignore[attr-defined]
            nested = getattr(route, "original_router", None) or getattr(route, "router", None)
            if isinstance(route, APIRoute):
                found.update((m, route.path.removeprefix(PREFIX).removeprefix("/")) for m in route.methods)
            elif nested is not None:
                walk(nested.routes)

    walk(browser(desk).app.routes)  # type: ignore[attr-defined]
    return found


def furnished(home: Path) -> World:
    made = make_world(home)
    made.released()
    made.checked()
    folder = home / "intake"
    folder.mkdir(mode=0o700)
    (folder / "visits.csv").write_text("id\n1\n", "utf-8")
    return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    return furnished(tmp_path / "home")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> World:
    """For what changes nothing: refusals, and pages to read. One for all of them, for time."""
    return furnished(tmp_path_factory.mktemp("matrix") / "home")


@pytest.fixture(scope="module")
def readers(untouched: World) -> dict[str, TestClient]:
    desk = make_desk(untouched)
    return {role: _client(desk, role) for role in ROLES}


@pytest.fixture
def client_of(world: World) -> functools.partial[TestClient]:
    return functools.partial(_client, make_desk(world))


def _client(desk: Desk, role: str) -> TestClient:
    return browser(desk) if role == "signed-out" else signed_in(desk, role)


def _sent(client: TestClient, method: str, path: str) -> Response:
    name = "R-2" if "requests" in path else "nora" if path.startswith("admin/people") else "liver"
    address = PREFIX + path.format(name=name, number=1, item="table1", sandbox="5a", dataset="nafld")
    return client.request(method, address, **BODIES.get(path, {}))  # type: ignore[arg-type,no-any-return]


def _acts(method: str, path: str, status: int) -> bool:
    """Whether it may change something: what is let through, but for pages to read. A download is on the record."""
    return status < 400 and (method != "GET" or "download" in path or path in ("login", "oauth_callback"))


def test_every_endpoint_is_in_the_table(untouched: World) -> None:
    assert routes(make_desk(untouched)) == set(TABLE)


@pytest.mark.parametrize("path", [p for m, p in TABLE if m == "GET"])
def test_every_page_is_timed_by_the_benchmark(path: str) -> None:
    """It opens each for who may; one that opens for nobody in the table needs an address of its own there, or a reason."""
    opened = OK in TABLE[("GET", path)] and path not in NO_PAGE
    assert opened or path in AT or path in NO_PAGE


@pytest.mark.parametrize(("method", "path", "role", "status"), [c for c in CASES if _acts(c[0], c[1], c[3])])
def test_what_a_role_may_do(
    client_of: functools.partial[TestClient], method: str, path: str, role: str, status: int
) -> None:
    answer = _sent(client_of(role), method, path)
    assert answer.status_code == status, answer.text[:500]


@pytest.mark.parametrize(("method", "path", "role", "status"), [c for c in CASES if not _acts(c[0], c[1], c[3])])
def test_what_a_role_may_read_or_may_not_do(
    untouched: World, readers: dict[str, TestClient], method: str, path: str, role: str, status: int
) -> None:
    before = len(untouched.entries())
    answer = _sent(readers[role], method, path)
    assert answer.status_code == status, answer.text[:500]
    if status >= 400:
        assert len(untouched.entries()) == before
        if path.startswith("api/"):
            assert set(answer.json()) == {"code", "what", "why", "do"}


@pytest.fixture(scope="module")
def without_secret(untouched: World) -> dict[str, TestClient]:
    """People whose browser was made to send a form that no page of ours made."""
    desk = make_desk(untouched)
    made = {role: signed_in(desk, role) for role in ("ana", "stella", "adam", "audrey")}
    for client in made.values():
        del client.headers["x-csrf-token"]
    return made


@pytest.mark.parametrize(("method", "path"), [k for k in TABLE if k[0] == "POST"])
def test_an_unsafe_request_without_the_pages_secret_changes_nothing(
    untouched: World, without_secret: dict[str, TestClient], method: str, path: str
) -> None:
    before = len(untouched.entries())
    for client in without_secret.values():
        assert _sent(client, method, path).status_code == 403
    assert len(untouched.entries()) == before


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("role", ["ana", "stella", "audrey"])
def test_the_request_page_opens_in_every_state(world: World, state: State, role: str) -> None:
    row = world.at(state)
    page = signed_in(make_desk(world), role).get(f"{PREFIX}requests/{row.name}")
    assert page.status_code == 200
    assert state.words in page.text
