"""The administrator's pages: what runs, projects, people, data. Auditors see the same and no buttons."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.rendering import render
from egress_gate.policy.ask import may
from egress_gate.service import administer
from egress_gate.service.administer import Move
from egress_gate.store import overview
from store.clock import stamp
from store.usage import usage

admin = APIRouter(prefix="/admin", include_in_schema=False, default_response_class=HTMLResponse)
Name = Annotated[str, Path(max_length=100)]
Text = Annotated[str, Form(max_length=8000)]
Short = Annotated[str, Form(max_length=200)]


@admin.get("")
def running_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """What runs now, and what was not started."""
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        sandboxes = overview.running(c)
        refused = overview.refused_starts(c)
    return _page(request, visitor, desk, "admin.html", sandboxes=sandboxes, refused=refused)


@admin.get("/projects")
def projects_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        found = overview.projects(c)
    return _page(request, visitor, desk, "admin_projects.html", projects=found)


@admin.get("/people")
def people_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        found = overview.people(c)
    return _page(request, visitor, desk, "admin_people.html", people=found)


@admin.get("/data")
def data_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """The catalogue and who was granted what of it."""
    _require(desk, visitor)
    with desk.gate.store.read() as c:
        datasets, grants = overview.datasets(c), overview.grants(c)
    return _page(request, visitor, desk, "admin_data.html", datasets=datasets, grants=grants)


@admin.get("/projects/{name}")
def project_page(request: Request, visitor: SignedIn, desk: TheDesk, name: Name) -> Response:
    """One project: its people, data, what it used, and what an administrator may do to it."""
    found = administer.project_for_admin(desk.gate, visitor.person, name, desk.clock())
    with desk.gate.store.read() as c:
        sandboxes, grants = overview.running(c, name), overview.grants(c, name)
        used = usage(c, project=name)
    return _page(
        request, visitor, desk, "admin_project.html", project=found, sandboxes=sandboxes, grants=grants, used=used
    )


@admin.post("/projects/{name}/state")
def move_project(visitor: SignedIn, desk: TheDesk, name: Name, move: Annotated[Move, Form()], reason: Text) -> Response:
    administer.move_project(desk.gate, desk.provisioning, visitor.person, name, move, reason, desk.clock())
    return _back(desk, f"projects/{name}")


@admin.post("/projects/{name}/end")
def extend_project(visitor: SignedIn, desk: TheDesk, name: Name, until: Annotated[date, Form()]) -> Response:
    end = datetime.combine(until, time.max, tzinfo=UTC)
    administer.extend_project(desk.gate, desk.provisioning, visitor.person, name, end, desk.clock())
    return _back(desk, f"projects/{name}")


@admin.post("/projects/{name}/members")
def add_member(visitor: SignedIn, desk: TheDesk, name: Name, member: Short) -> Response:
    administer.add_member(desk.gate, desk.provisioning, visitor.person, name, member.strip(), desk.clock())
    return _back(desk, f"projects/{name}")


@admin.post("/projects/{name}/members/remove")
def remove_member(visitor: SignedIn, desk: TheDesk, name: Name, member: Short) -> Response:
    administer.remove_member(desk.gate, desk.provisioning, visitor.person, name, member, desk.clock())
    return _back(desk, f"projects/{name}")


@admin.post("/sandboxes/{sandbox}/stop")
def stop_sandbox(visitor: SignedIn, desk: TheDesk, sandbox: Name, reason: Text) -> Response:
    administer.stop_sandbox(desk.gate, desk.provisioning, visitor.person, sandbox, reason, desk.clock())
    return _back(desk, "")


def _require(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the administration pages")


def _page(request: Request, visitor: Visitor, desk: Desk, template: str, **values: Any) -> Response:
    now = desk.clock()
    with desk.gate.store.read() as c:
        counts = overview.counts(c, stamp(now))
    acts = may(desk.gate.engine, visitor.person, "stop_sandbox", now).allow
    return render(request, visitor, template, counts=counts, acts=acts, now=now, today=stamp(now), **values)


def _back(desk: Desk, path: str) -> Response:
    return RedirectResponse(f"{desk.prefix}admin/{path}".rstrip("/"), 303)
