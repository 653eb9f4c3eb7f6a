"""The analyst's pages: ask for a release, see what would be protected, send it, and send a new revision of what came back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.ask_form import ASKED, MOST, NOISE, ROUND, AskForm, form_from, form_of
from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.json_api import Name, number_of
from egress_gate.desk.rendering import render
from egress_gate.domain.item import FAMILIES, Item
from egress_gate.domain.request import State
from egress_gate.service.errors import NotAllowed, no_such
from egress_gate.service.preflight import Preflight, preflight
from egress_gate.service.reading import permission_in_project, permission_on, visible
from egress_gate.service.submit import Caller, resubmit, sources_of, submit
from egress_gate.store import catalogue, requests
from egress_gate.store.catalogue import RunningSandbox
from egress_gate.store.requests import RequestRow

asking = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
Sent = Callable[[AskForm], RequestRow]


async def fields(request: Request) -> dict[str, Any]:
    return dict(await request.form())


Fields = Annotated[dict[str, Any], Depends(fields)]


@asking.get("/new")
def new_request(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """The empty form, or what to do first when no workbench runs."""
    return _page(request, visitor, desk, AskForm(), _own(visitor, desk))


@asking.post("/new")
def send_request(request: Request, visitor: SignedIn, desk: TheDesk, sent: Fields) -> Response:
    form, running = form_from(sent), _own(visitor, desk)
    sandbox = next((b for b in running if b.id == form.sandbox), None)
    if sandbox is None:
        raise no_such("workbench")
    _require_submit(visitor, desk, sandbox)
    key = str(sent.get("key", ""))[:100] or None
    return _answer(
        request,
        visitor,
        desk,
        _changed(form, sent),
        running,
        sandbox,
        _pressed(sent)[0],
        lambda f: submit(desk.gate, Caller(sandbox), f.draft()[0], desk.clock(), key, outside=True),
    )


@asking.get("/requests/{name}/revise")
def new_revision(request: Request, visitor: SignedIn, desk: TheDesk, name: Name) -> Response:
    row, items, sandbox = _returned(visitor, desk, name)
    return _page(request, visitor, desk, form_of(row, items), (sandbox,), row=row)


@asking.post("/requests/{name}/revise")
def send_revision(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Fields) -> Response:
    row, items, sandbox = _returned(visitor, desk, name)
    form = replace(form_from(sent, items), sandbox=sandbox.id)
    return _answer(
        request,
        visitor,
        desk,
        _changed(form, sent),
        (sandbox,),
        sandbox,
        _pressed(sent)[0],
        lambda f: resubmit(desk.gate, visitor.person, row.id, f.draft()[0], desk.clock(), outside=True),
        row,
    )


def _own(visitor: Visitor, desk: Desk) -> tuple[RunningSandbox, ...]:
    """Raises NotAllowed for people of other roles."""
    if not visitor.is_one_of("analysts"):
        raise NotAllowed(
            "The request form is not shown to you.",
            why="It is for analysts.",
            do="Ask an administrator for the role.",
        )
    with desk.gate.store.read() as c:
        return catalogue.running_of(c, visitor.person.name)


def _require_submit(visitor: Visitor, desk: Desk, sandbox: RunningSandbox) -> None:
    with desk.gate.store.read() as c:
        project = catalogue.project(c, sandbox.project)
    if project is None:
        raise no_such("project")
    permission_in_project(desk.gate, visitor.person, "submit", project, desk.clock()).require("submit a request")


def _returned(visitor: Visitor, desk: Desk, name: str) -> tuple[RequestRow, tuple[Item, ...], RunningSandbox]:
    """A returned request of the visitor's own with its outputs and where it came from. Raises NotFound or NotAllowed."""
    found = visible(desk.gate, visitor.person, number_of(name), desk.clock())
    permission_on(desk.gate, visitor.person, "submit", found, desk.clock()).require("change this request")
    row = found.request
    if row.state is not State.RETURNED:
        raise NotAllowed(
            "A new revision cannot be sent now.",
            why="Only a request that a steward returned is changed; what is being judged stays as it was sent.",
            do="Look at its state, or withdraw it and ask anew.",
        )
    with desk.gate.store.read() as c:
        held = {h.item for h in requests.held(c, row.id)}  # these go on as requests of their own
        items = tuple(i for i in requests.items(c, row.id, row.revision) if i.name not in held)
        versions = catalogue.versions_of_sandbox(c, row.sandbox)
    return row, items, RunningSandbox(row.sandbox or "", row.author, row.project, versions, "")


def _pressed(sent: dict[str, Any]) -> tuple[str, str]:
    action, _, which = str(sent.get("do", "send")).partition(":")
    return action, which


def _changed(form: AskForm, sent: dict[str, Any]) -> AskForm:
    """The form after the buttons that only change it."""
    action, which = _pressed(sent)
    if action == "add":
        return form.with_one_more()
    if action == "remove" and which.isascii() and which.isdigit():
        return form.without(int(which))
    return form


def _answer(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    form: AskForm,
    running: tuple[RunningSandbox, ...],
    sandbox: RunningSandbox,
    action: str,
    send: Sent,
    row: RequestRow | None = None,
) -> Response:
    """Show the form again, or send it once nothing stops it and the author has seen what will be left out."""
    if action not in ("send", "check"):
        return _page(request, visitor, desk, form, running, row=row)
    seen = _look(desk, sandbox, form, row)
    if action == "send" and seen.ready and (form.accepted or not _hides(seen)):
        made = send(form)
        return RedirectResponse(f"{desk.prefix}requests/{made.name}", 303)
    return _page(request, visitor, desk, form, running, seen, row, status=200 if seen.ready else 422)


def _look(desk: Desk, sandbox: RunningSandbox, form: AskForm, row: RequestRow | None) -> Preflight:
    draft, unread = form.draft()
    if unread and not draft.items:
        return Preflight(unread)
    seen = preflight(desk.gate, sandbox, draft, desk.clock(), row.revision + 1 if row else 1)
    return replace(seen, stops=(*unread, *seen.stops))


def _hides(seen: Preflight) -> int:
    return sum(int(s.preview["suppressed"]) for s in seen.outputs if s.preview)


def _page(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    form: AskForm,
    running: tuple[RunningSandbox, ...],
    seen: Preflight | None = None,
    row: RequestRow | None = None,
    status: int = 200,
) -> Response:
    chosen = next((b for b in running if b.id == form.sandbox), running[0] if running else None)
    with desk.gate.store.read() as c:
        projects = {b.id: catalogue.project(c, b.project) for b in running}
        reviews = requests.reviews(c, row.id, row.revision) if row else ()
    return render(
        request,
        visitor,
        "ask.html",
        status if "hx-request" not in request.headers else 200,
        form=form,
        running=running,
        chosen=chosen,
        projects=projects,
        tables=sources_of(desk.gate, chosen.versions) if chosen else (),
        seen=seen,
        hidden=_hides(seen) if seen else 0,
        row=row,
        reviews=reviews,
        key=secrets.token_urlsafe(16),
        kinds=ASKED,
        families=FAMILIES,
        most=MOST,
        ways=(ROUND, NOISE),
    )
