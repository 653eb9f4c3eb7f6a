"""The auditor's pages: the ledger, a project's life, a person's trail, what ran inside. They read and change nothing.

An export is the exception: that somebody took the whole record is itself on the record.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.rendering import render
from egress_gate.policy.ask import may
from egress_gate.service.export import export_ledger
from egress_gate.service.verify import Verified, verify_ledger
from egress_gate.store import audit as record
from egress_gate.store import catalogue

audit = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
Name = Annotated[str, Path(max_length=100)]
Before = Annotated[int | None, Query(ge=0, le=2**53)]
Family = Annotated[str, Query(max_length=40, pattern=r"^[a-z_]*$")]
Words = Annotated[str, Query(max_length=200)]


@audit.get("/ledger")
def ledger_page(
    request: Request, visitor: SignedIn, desk: TheDesk, q: Words = "", kind: Family = "", before: Before = None
) -> Response:
    """The record, newest first; with words, what is exactly of that name, actor or kind."""
    _require(desk, visitor)
    return _ledger(request, visitor, desk, None, q.strip(), kind, before)


@audit.post("/ledger/verify")
def verify_page(
    request: Request, visitor: SignedIn, desk: TheDesk, kept: Annotated[str, Form(max_length=4000)] = ""
) -> Response:
    """Read the whole log again, and against a checkpoint that somebody kept."""
    _require(desk, visitor)
    verified = verify_ledger(desk.gate, kept.replace("\r\n", "\n").strip() + "\n" if kept.strip() else "")
    return _ledger(request, visitor, desk, verified)


@audit.post("/ledger/export")
def export_page(visitor: SignedIn, desk: TheDesk) -> Response:
    """The whole ledger as JSON lines, each with its signed checkpoint: `./glovebox verify FILE` needs nothing else."""
    made = export_ledger(desk.gate, visitor.person, desk.clock())
    headers = {"content-disposition": f'attachment; filename="{made.name}"', "content-length": str(made.size)}
    return StreamingResponse(made.chunks, media_type="application/jsonl", headers=headers)


@audit.get("/projects/{name}")
def project_page(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Name, kind: Family = "", before: Before = None
) -> Response:
    """The life of a project as one timeline."""
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        project = catalogue.project(c, name)
        found = record.life(c, "project", name, kind, before)
    return render(
        request, visitor, "timeline.html", title=name, project=project, found=found, kind=kind, place="projects"
    )


@audit.get("/people/{name}")
def person_page(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Name, kind: Family = "", before: Before = None
) -> Response:
    """A person's whole trail: what they did, and what was done about them."""
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        found = record.trail(c, name, kind, before)
    return render(request, visitor, "timeline.html", title=name, project=None, found=found, kind=kind, place="people")


@audit.get("/people/{name}/cells")
def cells_page(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Name, kind: Family = "cell", before: Before = None
) -> Response:
    """What ran in a person's sandboxes: each executed cell by its digest, what was shown, what was refused."""
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        lines, older = record.ran(c, name, kind, before)
    return render(request, visitor, "cells.html", name=name, lines=lines, older=older, kind=kind)


def _ledger(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    verified: Verified | None,
    words: str = "",
    kind: str = "",
    before: int | None = None,
) -> Response:
    with desk.gate.store.read() as c:
        found = record.found(c, words, kind, before)
        checkpoint = record.checkpoint_at(c)
    return render(
        request, visitor, "ledger.html", found=found, checkpoint=checkpoint, verified=verified, words=words, kind=kind
    )


def _require(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_ledger", desk.clock()).require("read the ledger")
