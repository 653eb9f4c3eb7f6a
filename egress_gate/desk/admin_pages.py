"""The administrator's pages: what runs, projects, data. Auditors see the same and no buttons."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.kept_form import NOTHING, Form, Sent, answered
from egress_gate.desk.rendering import render
from egress_gate.policy.ask import may
from egress_gate.service import administer
from egress_gate.service.errors import Malformed
from egress_gate.service.hands import Move, NewProject
from egress_gate.store import overview, plans
from installation.fault import Fault
from store.clock import stamp
from store.usage import usage

admin = APIRouter(prefix="/admin", include_in_schema=False, default_response_class=HTMLResponse)
Name = Annotated[str, Path(max_length=100)]
Turn = Annotated[int, Query(ge=1, le=100_000)]
NumberOfPage = Annotated[int, Query(ge=1, le=100_000, alias="page")]
Words = Annotated[str, Query(max_length=100)]


@admin.get("")
def running_page(request: Request, visitor: SignedIn, desk: TheDesk, page: Turn = 1) -> Response:
    """What runs now, and what was not started."""
    require_view(desk, visitor)
    return _running(request, visitor, desk, number=page)


@admin.get("/projects")
def projects_page(
    request: Request, visitor: SignedIn, desk: TheDesk, number: NumberOfPage = 1, q: Words = ""
) -> Response:
    """All of them, or those that some words find."""
    require_view(desk, visitor)
    words = q.strip()
    with desk.gate.store.read() as c:
        found = overview.projects(c, number, words)
    return page(request, visitor, desk, "admin_projects.html", projects=found, words=words)


@admin.get("/new-project")
def new_project_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """The empty form of a project."""
    administer.may_create(desk.gate, visitor.person, desk.clock())
    return _new_project(request, visitor, desk)


@admin.post("/new-project")
def create_project(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    name = sent.text("name")
    return answered(
        desk,
        sent,
        "project",
        lambda: administer.create_project(desk.gate, desk.provisioning, visitor.person, _wanted(sent), desk.clock()),
        f"admin/projects/{name}",
        partial(_new_project, request, visitor, desk),
    )


@admin.get("/data")
def data_page(request: Request, visitor: SignedIn, desk: TheDesk, datasets: Turn = 1, grants: Turn = 1) -> Response:
    """The catalogue and who was granted what of it."""
    require_view(desk, visitor)
    with desk.gate.store.read() as c:
        known, given = overview.datasets_page(c, datasets), overview.grants_page(c, grants)
    return page(request, visitor, desk, "admin_data.html", datasets=known, grants=given)


@admin.get("/projects/{name}")
def project_page(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sandboxes: Turn = 1, grants: Turn = 1
) -> Response:
    """One project: its people, data, what it used, and what an administrator may do to it."""
    return _project(request, visitor, desk, name, turned=(sandboxes, grants))


@admin.post("/projects/{name}/state")
def move_project(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        administer.may_manage(desk.gate, visitor.person, name, desk.clock())
        move, reason = _move(sent.text("move")), sent.text("reason")
        administer.move_project(desk.gate, desk.provisioning, visitor.person, name, move, reason, desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "state", doing)


@admin.post("/projects/{name}/end")
def extend_project(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        administer.may_manage(desk.gate, visitor.person, name, desk.clock())
        administer.extend_project(desk.gate, desk.provisioning, visitor.person, name, sent.day("until"), desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "end", doing)


@admin.post("/projects/{name}/terms")
def describe_project(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    """Title, sponsor, legal basis and output plan; what is left as it was changes nothing."""

    def doing() -> None:
        terms = {noun: sent.text(noun) for noun in ("title", "sponsor", "legal_basis", "output_plan")}
        administer.describe_project(desk.gate, desk.provisioning, visitor.person, name, terms, desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "terms", doing)


@admin.post("/projects/{name}/assessment")
def assess_project(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    """What of the checklist holds."""

    def doing() -> None:
        confirmed = sent.texts("confirmed")
        administer.assess_project(desk.gate, desk.provisioning, visitor.person, name, confirmed, desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "assessment", doing)


@admin.post("/projects/{name}/members")
def add_member(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        member = sent.text("member")
        administer.add_member(desk.gate, desk.provisioning, visitor.person, name, member, desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "member", doing)


@admin.post("/projects/{name}/members/remove")
def remove_member(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        member = sent.text("member")
        administer.remove_member(desk.gate, desk.provisioning, visitor.person, name, member, desk.clock())

    return _project_answer(request, visitor, desk, name, sent, "remove", doing)


@admin.post("/sandboxes/{sandbox}/stop")
def stop_sandbox(request: Request, visitor: SignedIn, desk: TheDesk, sandbox: Name, sent: Form) -> Response:
    def doing() -> None:
        reason = sent.text("reason")
        administer.stop_sandbox(desk.gate, desk.provisioning, visitor.person, sandbox, reason, desk.clock())

    return answered(desk, sent, f"stop-{sandbox}", doing, "admin", partial(_running, request, visitor, desk))


def require_view(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the administration pages")


def page(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    template: str,
    sent: Sent = NOTHING,
    status: int = 200,
    **values: Any,
) -> Response:
    """An administration page with the four figures. `acts`: whether the visitor gets buttons."""
    now = desk.clock()
    with desk.gate.store.read() as c:
        counts = overview.counts(c, stamp(now))
    acts = may(desk.gate.engine, visitor.person, "stop_sandbox", now).allow
    shared = {"counts": counts, "acts": acts, "now": now, "today": stamp(now), "sent": sent}
    return render(request, visitor, template, status, **shared, **values)


def _running(
    request: Request, visitor: Visitor, desk: Desk, sent: Sent = NOTHING, status: int = 200, number: int = 1
) -> Response:
    with desk.gate.store.read() as c:
        sandboxes, refused = overview.running(c, number=number), overview.refused_starts(c)
    return page(request, visitor, desk, "admin.html", sent, status, sandboxes=sandboxes, refused=refused)


def _new_project(request: Request, visitor: Visitor, desk: Desk, sent: Sent = NOTHING, status: int = 200) -> Response:
    with desk.gate.store.read() as c:
        people, datasets = overview.names(c), overview.datasets(c)
    return page(request, visitor, desk, "admin_new_project.html", sent, status, people=people, datasets=datasets)


def _project(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    name: str,
    sent: Sent = NOTHING,
    status: int = 200,
    turned: tuple[int, int] = (1, 1),
) -> Response:
    found = administer.project_for_admin(desk.gate, visitor.person, name, desk.clock())
    with desk.gate.store.read() as c:
        values = {
            "sandboxes": overview.running(c, name, turned[0]),
            "grants": overview.grants_page(c, turned[1], name),
            "used": usage(c, project=name),
            "plan": plans.plan(c, name),
            "people": overview.names(c),
        }
    more = {"project": found, "checklist": _checklist(desk, name), **values}
    return page(request, visitor, desk, "admin_project.html", sent, status, **more)


def _checklist(desk: Desk, name: str) -> Mapping[str, Any] | None:
    """None while policy, or the part that knows projects, is away: the page stands without."""
    try:
        return desk.provisioning.checklist(name, desk.gate.engine)
    except Fault:
        return None


def _project_answer(
    request: Request, visitor: Visitor, desk: Desk, name: str, sent: Sent, form: str, doing: Any
) -> Response:
    return answered(desk, sent, form, doing, f"admin/projects/{name}", partial(_project, request, visitor, desk, name))


def _wanted(sent: Sent) -> NewProject:
    return NewProject(
        name=sent.text("name"),
        title=sent.text("title"),
        purpose=sent.text("purpose"),
        sponsor=sent.text("sponsor"),
        until=sent.day("until"),
        members=sent.texts("members"),
        datasets=sent.texts("datasets"),
        legal_basis=sent.text("legal_basis"),
        output_plan=sent.text("output_plan"),
    )


def _move(text: str) -> Move:
    try:
        return Move(text)
    except ValueError as odd:
        raise Malformed(
            "The project was not changed.", why="The form does not say what becomes of it.", do="Press a button again."
        ) from odd
