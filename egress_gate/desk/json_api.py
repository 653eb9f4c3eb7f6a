"""The desk's JSON API, under the hub's prefix at ``api/v1/``. Every handler parses, calls one verb, and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.dossier import dossier_json
from egress_gate.domain.request import State, request_number
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.ask import may
from egress_gate.service import metering
from egress_gate.service.deliver import download, revoke
from egress_gate.service.errors import no_such
from egress_gate.service.reading import visible
from egress_gate.service.reexecution import ask as rerun_notebook
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import withdraw
from egress_gate.service.verify import verify_ledger
from egress_gate.store import audit, views
from egress_gate.store.requests import RequestRow
from egress_gate.store.reruns import RerunState
from egress_gate.store.views import Event
from store.usage_report import as_csv

Name = Annotated[str, Path(pattern=r"^R-\d{1,12}$", examples=["R-17"])]
ReleaseId = Annotated[int, Path(ge=1, le=2**53)]


class By(StrEnum):
    """What a line of usage is about."""

    PROJECT = "project"
    PERSON = "person"
    VERSION = "version"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Every error, everywhere: what happened, why, what to do."""

    code: str
    what: str
    why: str
    do: str


class ReviewBody(Strict):
    """`revision` is the one that was read; without it, the current one. `items`: a verdict on single outputs, each return or
    reject with its own words in `notes`; an approval with such leaves these outputs out. `cells`: by notebook, the
    outputs that may leave with it. `seen`: the state that was read."""

    reason: str = Field(max_length=8000)
    revision: int | None = Field(default=None, ge=1, le=10**6)
    items: dict[str, ReviewVerdict] = Field(default_factory=dict, max_length=50)
    notes: dict[str, str] = Field(default_factory=dict, max_length=50)
    cells: dict[str, list[str]] = Field(default_factory=dict, max_length=50)
    seen: State = State.IN_REVIEW


class RerunBody(Strict):
    """The notebook, by its name, and the revision that was read."""

    output: str = Field(max_length=200)
    revision: int = Field(ge=1, le=10**6)


class ReasonBody(Strict):
    reason: str = Field(max_length=8000)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 403, 404, 409, 410, 413, 422, 429, 500, 503)
}
api = APIRouter(prefix="/api/v1", responses=PROBLEMS)


@api.get("/session", tags=["session"])
def session(visitor: SignedIn) -> dict[str, Any]:
    """Who is signed in, and the secret that unsafe requests of this browser session send as ``X-CSRF-Token``."""
    return {"name": visitor.person.name, "groups": sorted(visitor.person.groups), "csrf": visitor.csrf}


@api.get("/requests", tags=["requests"])
def list_requests(
    visitor: SignedIn,
    desk: TheDesk,
    state: State | None = None,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> dict[str, Any]:
    """Requests this person may see, newest first; with ``state=in_review``, in the queue's order."""
    with desk.gate.store.read() as c:
        waiting = state is State.IN_REVIEW and visitor.is_one_of("stewards")
        listed = views.queue if waiting else views.everything
        found = listed(c, visitor.person, state, page)
    return {"requests": [line(r) for r in found.rows], "total": found.total, "page": page, "pages": found.last}


@api.get("/requests/{name}", tags=["requests"])
def get_request(visitor: SignedIn, desk: TheDesk, name: Name) -> dict[str, Any]:
    return dossier_json(desk, visitor, number_of(name))


@api.get("/requests/{name}/history", tags=["requests"])
def request_history(visitor: SignedIn, desk: TheDesk, name: Name) -> dict[str, Any]:
    """The ledger's entries about this request, oldest first."""
    number = number_of(name)
    visible(desk.gate, visitor.person, number, desk.clock())
    with desk.gate.store.read() as c:
        return {"entries": [event_json(e) for e in views.history(c, "request", name)]}


@api.post("/requests/{name}/approve", tags=["reviews"])
def approve(visitor: SignedIn, desk: TheDesk, name: Name, body: ReviewBody) -> dict[str, Any]:
    return _review(desk, visitor, name, ReviewVerdict.APPROVE, body)


@api.post("/requests/{name}/return", tags=["reviews"])
def return_(visitor: SignedIn, desk: TheDesk, name: Name, body: ReviewBody) -> dict[str, Any]:
    return _review(desk, visitor, name, ReviewVerdict.RETURN, body)


@api.post("/requests/{name}/reject", tags=["reviews"])
def reject(visitor: SignedIn, desk: TheDesk, name: Name, body: ReviewBody) -> dict[str, Any]:
    return _review(desk, visitor, name, ReviewVerdict.REJECT, body)


@api.post("/requests/{name}/rerun", tags=["reviews"])
def rerun(visitor: SignedIn, desk: TheDesk, name: Name, body: RerunBody) -> dict[str, str]:
    """Have a notebook run anew. What comes of it stands under `reexecution` of its output, for stewards and auditors."""
    rerun_notebook(desk.gate, visitor.person, number_of(name), body.output, desk.clock(), body.revision)
    return {"state": RerunState.WAITING.value}


@api.post("/requests/{name}/withdraw", tags=["requests"])
def withdraw_request(visitor: SignedIn, desk: TheDesk, name: Name) -> dict[str, Any]:
    return line(withdraw(desk.gate, visitor.person, number_of(name), desk.clock()))


@api.get("/releases", tags=["releases"])
def list_releases(
    visitor: SignedIn, desk: TheDesk, page: Annotated[int, Query(ge=1, le=100_000)] = 1
) -> dict[str, Any]:
    """A page of two hundred, newest first."""
    with desk.gate.store.read() as c:
        found = views.release_lines(c, visitor.person, page, size=200)
    return {
        "total": found.total,
        "page": found.number,
        "pages": found.last,
        "releases": [
            {
                "id": r.id,
                "request": r.request.name,
                "title": r.request.title,
                "author": r.request.author,
                "project": r.request.project,
                "bundle": r.bundle,
                "released_at": r.released_at,
                "revoked_at": r.revoked_at,
                "downloads": r.downloads,
            }
            for r in found.rows
        ],
    }


@api.get(
    "/releases/{number}/download",
    tags=["releases"],
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_release(visitor: SignedIn, desk: TheDesk, number: ReleaseId) -> Response:
    """The bundle that the gate wrote, as a zip. Each download is recorded."""
    return bundle_response(desk, visitor, number)


@api.post("/releases/{number}/revoke", tags=["releases"])
def revoke_release(visitor: SignedIn, desk: TheDesk, number: ReleaseId, body: ReasonBody) -> dict[str, Any]:
    made = revoke(desk.gate, visitor.person, number, body.reason, desk.clock())
    return {"id": made.id, "revoked_at": made.revoked_at, "revoked_by": made.revoked_by}


@api.get(
    "/ledger/checkpoint", tags=["ledger"], responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def ledger_checkpoint(
    visitor: SignedIn, desk: TheDesk, size: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """The newest signed tree head as a C2SP signed note, for a witness to keep; with `size`, the head over that many entries."""
    may(desk.gate.engine, visitor.person, "view_ledger", desk.clock()).require("read the ledger")
    with desk.gate.store.read() as c:
        found = audit.checkpoint_at(c, size)
    if found is None and size is not None:
        raise no_such("checkpoint")
    return PlainTextResponse(found or "")


@api.get("/ledger/entries", tags=["ledger"])
def ledger_entries(
    visitor: SignedIn,
    desk: TheDesk,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Entries, newest first."""
    may(desk.gate.engine, visitor.person, "view_ledger", desk.clock()).require("read the ledger")
    with desk.gate.store.read() as c:
        return {"entries": [event_json(e) for e in views.ledger_page(c, before, limit)]}


@api.get("/ledger/verify", tags=["ledger"])
def ledger_verify(visitor: SignedIn, desk: TheDesk) -> dict[str, Any]:
    """Read the whole log again and check every hash and signature."""
    may(desk.gate.engine, visitor.person, "view_ledger", desk.clock()).require("read the ledger")
    return verify_ledger(desk.gate).facts()


@api.get("/usage", tags=["usage"])
def usage(visitor: SignedIn, desk: TheDesk, by: By = By.PROJECT) -> dict[str, Any]:
    """What was used, by project, person or dataset version; for administrators and auditors."""
    found = metering.usage_lines(desk.gate, visitor.person, by.value, desk.clock())
    return {"by": by.value, "usage": [{"name": line.name, **line.used.facts()} for line in found]}


@api.get("/usage.csv", tags=["usage"], responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
def usage_csv(visitor: SignedIn, desk: TheDesk, by: By = By.PROJECT) -> Response:
    found = metering.usage_lines(desk.gate, visitor.person, by.value, desk.clock())
    headers = {"content-disposition": f'attachment; filename="usage-by-{by.value}.csv"'}
    return Response(as_csv(by.value, found), media_type="text/csv; charset=utf-8", headers=headers)


@api.get("/quotas", tags=["usage"])
def quotas(visitor: SignedIn, desk: TheDesk) -> dict[str, Any]:
    """Every quota of every grant in force, and how much of it is used."""
    return {"quotas": [vars(line) for line in metering.quotas(desk.gate, visitor.person, desk.clock())]}


@api.get("/metrics", tags=["usage"], responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def prometheus_metrics(visitor: SignedIn, desk: TheDesk) -> Response:
    """For Prometheus, with the API token of an administrator or auditor. No names of people unless the operator wants them."""
    text = metering.metrics(desk.gate, visitor.person, desk.clock(), people=desk.metrics_people)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _review(desk: Desk, visitor: Visitor, name: str, verdict: ReviewVerdict, body: ReviewBody) -> dict[str, Any]:
    number, now = number_of(name), desk.clock()
    revision = body.revision or visible(desk.gate, visitor.person, number, now).request.revision
    cells = {item: frozenset(found) for item, found in body.cells.items()}
    opinion = Opinion(verdict, body.reason, body.items, body.notes if body.items else None, cells)
    return line(review(desk.gate, visitor.person, number, opinion, now, revision, body.seen))


def bundle_response(desk: Desk, visitor: Visitor, number: int) -> Response:
    parcel = download(desk.gate, visitor.person, number, desk.clock())
    headers = {"content-disposition": f'attachment; filename="{parcel.name}"', "x-content-sha256": parcel.digest}
    return Response(parcel.data, media_type="application/zip", headers=headers)


def number_of(name: str) -> int:
    try:
        return request_number(name)
    except ValueError as bad:
        raise no_such("request") from bad


def line(row: RequestRow) -> dict[str, Any]:
    return {
        "id": row.name,
        "title": row.title,
        "author": row.author,
        "project": row.project,
        "state": row.state.value,
        "revision": row.revision,
        "risk": row.risk,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "waiting_because": dict(row.trouble) if row.trouble else None,
    }


def event_json(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "kind": event.kind,
        "actor": event.actor,
        "time": event.time,
        "subject": dict(event.subject),
        "facts": dict(event.facts),
    }
