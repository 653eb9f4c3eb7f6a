"""Registering data from the desk: choose files of the intake folder, see what the scan proposes, say what it is, watch it come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk import intake_form as asking
from egress_gate.desk.admin_pages import page
from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.faults import status_of
from egress_gate.desk.intake_form import MOST_TABLES
from egress_gate.desk.kept_form import GONE, NOTHING, Form, Sent, answered
from egress_gate.desk.recipe_form import fields_of
from egress_gate.service import intake
from egress_gate.service.intake import FileOptions, Scan
from egress_gate.store import overview, sheets
from installation.fault import Fault

bringing = APIRouter(prefix="/admin/intake", include_in_schema=False, default_response_class=HTMLResponse)


@bringing.get("")
def intake_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """What lies in the intake folder, and what was registered from it."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    return _folder(request, visitor, desk)


@bringing.post("/files/remove")
def remove(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """Delete a file of the folder."""

    def doing() -> None:
        intake.remove(desk.gate, desk.intake, visitor.person, sent.text("name"), desk.clock())

    return answered(desk, sent, "choose", doing, "admin/intake", partial(_folder, request, visitor, desk))


@bringing.get("/new")
def new_page(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    file: Annotated[list[str] | None, Query(max_length=MOST_TABLES)] = None,
    encoding: Annotated[str, Query(max_length=20)] = "",
    delimiter: Annotated[str, Query(max_length=3)] = "",
    known: Annotated[str, Query(max_length=100)] = "",
    like: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The columns of the chosen files with the scan's proposals, and the form. `known`: the dataset of which it is a new version;
    `like`: the version whose masking the form begins with."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    fields = {"file": tuple(file or ()), "encoding": (encoding,), "delimiter": (delimiter,), "known": (known,)}
    asked = Sent("choose", {**fields, "like": (like,), **asking.sheets(request.query_params)})
    try:
        tables = asking.chosen(asked)
        scan = intake.scan(desk.gate, desk.intake, visitor.person, tables, asking.reading(asked), desk.clock())
    except Fault as fault:
        return _not_read(request, visitor, desk, asked, fault)
    begun = {**fields, **asking.hidden(tables), **_as_registered(desk, known), **_masked_like(desk, like, tables)}
    return _new(request, visitor, desk, scan, Sent("delivery", begun))


@bringing.post("/look")
def look(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """The columns of a server's tables. The password came with the form; it is asked for again, because nothing keeps it."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    try:
        tables = asking.of_server(sent)
        scan = intake.scan(desk.gate, desk.intake, visitor.person, tables, asking.reading(sent), desk.clock())
    except Fault as fault:
        return _not_read(request, visitor, desk, Sent("server", sent.fields), fault)
    begun = {**sent.fields, **asking.hidden(tables), **_as_registered(desk, sent.text("known"))}
    return _new(request, visitor, desk, scan, Sent("delivery", begun))


@bringing.post("/new")
def register(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """Begin the registration and go where its progress is shown; or show the form again as it was sent."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    try:
        number = intake.begin(desk.gate, desk.intake, visitor.person, asking.delivery(sent), desk.clock())
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return _again(request, visitor, desk, Sent("delivery", sent.fields, fault))
    return RedirectResponse(f"{desk.prefix}admin/intake/jobs/{number}", 303)


@bringing.post("/measure")
def measure(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """The form again, with what its masking does to the first rows: how many people stay alone. Nothing is kept."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    try:
        tables = asking.tables(sent)
        recipe = asking.recipe(sent, tables)
        after = intake.scan(desk.gate, desk.intake, visitor.person, tables, asking.reading(sent), desk.clock(), recipe)
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return _again(request, visitor, desk, Sent("delivery", sent.fields, fault))
    return _again(request, visitor, desk, Sent("delivery", sent.fields), measured=after, recipe=recipe)


@bringing.get("/jobs/{number}")
def job_page(
    request: Request, visitor: SignedIn, desk: TheDesk, number: Annotated[str, Path(max_length=40)]
) -> Response:
    """How far a registration is, or how it ended. While it runs the page asks again by itself."""
    found = intake.job(desk.gate, desk.intake, visitor.person, number, desk.clock())
    return page(request, visitor, desk, "admin_intake_job.html", job=found)


def _folder(request: Request, visitor: Visitor, desk: Desk, sent: Sent = NOTHING, status: int = 200) -> Response:
    with desk.gate.store.read() as c:
        datasets, recipes = overview.datasets(c), sheets.recipes(c)
    more = {
        "most_bytes": desk.intake.most_bytes,
        "files": desk.intake.files(),
        "jobs": desk.intake.jobs(),
        "datasets": datasets,
        "recipes": recipes,
        "with_sheets": asking.WITH_SHEETS,
    }
    return page(request, visitor, desk, "admin_intake.html", sent, status, **more)


def _not_read(request: Request, visitor: Visitor, desk: Desk, asked: Sent, fault: Fault) -> Response:
    """The folder, with why; policy's no has a page of its own."""
    if isinstance(fault, GONE):
        raise fault
    return _folder(request, visitor, desk, Sent(asked.form, asked.fields, fault), status_of(fault))


def _new(
    request: Request, visitor: Visitor, desk: Desk, scan: Scan, sent: Sent, status: int = 200, **more: Any
) -> Response:
    with desk.gate.store.read() as c:
        projects = overview.project_names(c)
    values = {"scan": scan, "projects": projects, "each_row": asking.EACH_ROW, "measured": None}
    return page(request, visitor, desk, "admin_intake_new.html", sent, status, **{**values, **more})


def _again(request: Request, visitor: Visitor, desk: Desk, sent: Sent, **more: Any) -> Response:
    """The form as it was sent, over a scan of the same sources; without them there is nothing to show but the folder."""
    status = status_of(sent.fault) if sent.fault else 200
    try:
        tables = asking.chosen(sent)
        scan = intake.scan(desk.gate, desk.intake, visitor.person, tables, asking.reading(sent), desk.clock())
    except Fault:
        return _folder(request, visitor, desk, Sent("choose", sent.fields, sent.fault), status)
    return _new(request, visitor, desk, scan, sent, status, **more)


def _masked_like(desk: Desk, like: str, tables: Sequence[FileOptions]) -> Mapping[str, tuple[str, ...]]:
    """The masking of an earlier version as the form's fields, for tables of the same names."""
    with desk.gate.store.read() as c:
        found = next((used for used in sheets.recipes(c) if used.version == like), None)
    if found is None:
        return {}
    return {"project": (found.project,), **fields_of(found.recipe, [one.table for one in tables])}


def _as_registered(desk: Desk, known: str) -> dict[str, Any]:
    """The words of a registered dataset: a new version has the same."""
    with desk.gate.store.read() as c:
        found = sheets.sheet(c, known) if known else None
    if found is None:
        return {}
    words = {"dataset": found.name, "title": found.title, "description": found.description, "provider": found.provider}
    made = {name: (text,) for name, text in words.items()}
    return {**made, "level": (str(found.classification),), "stewards": ("\n".join(found.stewards),)}
