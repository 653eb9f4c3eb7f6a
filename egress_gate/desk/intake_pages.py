"""Registering data from the desk: choose files of the intake folder, see what the scan proposes, say what it is, watch it come in."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.admin_pages import page
from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.faults import status_of
from egress_gate.desk.kept_form import GONE, NOTHING, Form, Sent, answered
from egress_gate.service import intake
from egress_gate.service.errors import Malformed
from egress_gate.service.intake import Delivery, FileOptions, Scan
from egress_gate.store import overview, sheets
from installation.fault import Fault

bringing = APIRouter(prefix="/admin/intake", include_in_schema=False, default_response_class=HTMLResponse)
EACH_ROW = '"each row"'  # no column is named so: quotes are refused in headers
MOST_FILES = 20


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
    file: Annotated[list[str] | None, Query(max_length=MOST_FILES)] = None,
    encoding: Annotated[str, Query(max_length=20)] = "",
    known: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The columns of the chosen files with the scan's proposals, and the form. `known`: the dataset of which it is a new version."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    fields = {"file": tuple(file or ()), "encoding": (encoding,), "known": (known,)}
    try:
        scan = intake.scan(desk.gate, desk.intake, visitor.person, _named(fields["file"]), encoding, desk.clock())
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return _folder(request, visitor, desk, Sent("choose", fields, fault), status_of(fault))
    return _new(request, visitor, desk, scan, Sent("delivery", {**fields, **_as_registered(desk, known)}))


@bringing.post("/new")
def register(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """Begin the registration and go where its progress is shown; or show the form again as it was sent."""
    intake.may_register(desk.gate, visitor.person, desk.clock())
    try:
        number = intake.begin(desk.gate, desk.intake, visitor.person, _delivery(sent), desk.clock())
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return _again(request, visitor, desk, Sent("delivery", sent.fields, fault))
    return RedirectResponse(f"{desk.prefix}admin/intake/jobs/{number}", 303)


@bringing.get("/jobs/{number}")
def job_page(
    request: Request, visitor: SignedIn, desk: TheDesk, number: Annotated[str, Path(max_length=40)]
) -> Response:
    """How far a registration is, or how it ended. While it runs the page asks again by itself."""
    found = intake.job(desk.gate, desk.intake, visitor.person, number, desk.clock())
    return page(request, visitor, desk, "admin_intake_job.html", job=found)


def _folder(request: Request, visitor: Visitor, desk: Desk, sent: Sent = NOTHING, status: int = 200) -> Response:
    with desk.gate.store.read() as c:
        datasets = overview.datasets(c)
    more = {
        "most_bytes": desk.intake.most_bytes,
        "files": desk.intake.files(),
        "jobs": desk.intake.jobs(),
        "datasets": datasets,
    }
    return page(request, visitor, desk, "admin_intake.html", sent, status, **more)


def _new(request: Request, visitor: Visitor, desk: Desk, scan: Scan, sent: Sent, status: int = 200) -> Response:
    with desk.gate.store.read() as c:
        people = overview.people(c)
    more = {"scan": scan, "people": people, "each_row": EACH_ROW}
    return page(request, visitor, desk, "admin_intake_new.html", sent, status, **more)


def _again(request: Request, visitor: Visitor, desk: Desk, sent: Sent) -> Response:
    """The form as it was sent, over a scan of the same files; without them there is nothing to show but the folder."""
    status = status_of(sent.fault) if sent.fault else 200
    try:
        files = _named(sent.fields.get("file", ()))
        scan = intake.scan(desk.gate, desk.intake, visitor.person, files, sent.text("encoding"), desk.clock())
    except Fault:
        return _folder(request, visitor, desk, Sent("choose", sent.fields, sent.fault), status)
    return _new(request, visitor, desk, scan, sent, status)


def _named(files: tuple[str, ...]) -> tuple[FileOptions, ...]:
    """Each file under a table name that SQL takes: the file's own in small letters where that is one."""
    taken: set[str] = set()
    made = []
    for number, file in enumerate(files[:MOST_FILES], start=1):
        stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in file.rpartition(".")[0].lower()).strip("_")
        name = stem[:60] if stem[:1].isalpha() and stem[:60] not in taken else f"table_{number}"
        taken.add(name)
        made.append(FileOptions(file, name))
    return tuple(made)


def _delivery(sent: Sent) -> Delivery:
    """Raises Malformed for what cannot be read; what the words may be, provisioning says."""
    _require_confirmed(sent)
    named = _named(sent.fields.get("file", ()))
    return Delivery(
        dataset=sent.text("dataset"),
        title=sent.text("title"),
        description=sent.text("description"),
        provider=sent.text("provider"),
        level=_level(sent.text("level")),
        stewards=sent.texts("stewards"),
        files=tuple(_options(sent, n, one) for n, one in enumerate(named)),
        encoding=sent.text("encoding"),
        missing=tuple(text for text in sent.texts("missing")),
        leave_out=min(sent.numbers("leave_").get("out", 0), 999),
        confirmed=bool(sent.text("confirmed")),
    )


def _options(sent: Sent, n: int, one: FileOptions) -> FileOptions:
    unit = sent.text(f"unit.{n}")
    if not unit:
        raise Malformed(
            "It was not registered.",
            why=f"It is not said whom the rows of {one.file[:80]} are about.",
            do="Choose the column that names them, or say that each row is its own unit.",
        )
    return FileOptions(one.file, sent.text(f"table.{n}") or one.table, None if unit == EACH_ROW else unit)


def _require_confirmed(sent: Sent) -> None:
    """While the form can still come back; provisioning looks again before it registers."""
    if _level(sent.text("level")) < sent.numbers("spoken").get("", 0) and not sent.text("confirmed"):
        raise Malformed(
            "It was not registered.",
            why="Its columns speak for a higher level than the one that is chosen.",
            do="Choose that level; or, where the scan is wrong, confirm the lower one below it.",
        )


def _level(text: str) -> int:
    if text not in ("1", "2", "3", "4"):
        raise Malformed("It was not registered.", why="It has no level.", do="Choose one of the four.")
    return int(text)


def _as_registered(desk: Desk, known: str) -> dict[str, Any]:
    """The words of a registered dataset: a new version has the same."""
    with desk.gate.store.read() as c:
        found = sheets.sheet(c, known) if known else None
    if found is None:
        return {}
    words = {"dataset": found.name, "title": found.title, "description": found.description, "provider": found.provider}
    made = {name: (text,) for name, text in words.items()}
    return {**made, "level": (str(found.classification),), "stewards": ("\n".join(found.stewards),)}
