"""People: who has an account and in which role, and an administrator's buttons. The hub keeps accounts; the ledger, who changed them."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.admin_pages import Name, NumberOfPage, Words, page, require_view
from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.faults import status_of
from egress_gate.desk.kept_form import GONE, NOTHING, Form, Sent, answered
from egress_gate.policy.ask import may
from egress_gate.service import accounts
from egress_gate.service.errors import Malformed
from egress_gate.store import overview
from installation.fault import Fault
from installation.roles import Role

_SOMEBODY = {"name": "", "known": True, "password": False}
people = APIRouter(prefix="/admin/people", include_in_schema=False, default_response_class=HTMLResponse)


@people.get("")
def people_page(
    request: Request, visitor: SignedIn, desk: TheDesk, number: NumberOfPage = 1, q: Words = ""
) -> Response:
    """Everybody whom the record or the hub knows, or those whom some letters find."""
    require_view(desk, visitor)
    return _people(request, visitor, desk, number=number, words=q.strip())


@people.post("")
def add_person(request: Request, visitor: SignedIn, desk: TheDesk, sent: Form) -> Response:
    """A new account. Its password is in the answer to this request and nowhere else."""
    name = sent.text("name")

    try:
        accounts.may_manage(desk.gate, visitor.person, name, desk.clock())
        password = accounts.make_account(desk.gate, desk.accounts, visitor.person, name, _role(sent), desk.clock())
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return _people(request, visitor, desk, Sent("add", sent.fields, fault), status_of(fault))
    return _people(request, visitor, desk, made=(name, password or ""))


@people.post("/{name}/role")
def give_role(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        accounts.may_manage(desk.gate, visitor.person, name, desk.clock())
        accounts.give_role(desk.gate, desk.accounts, visitor.person, name, _role(sent), desk.clock())

    again = partial(_people, request, visitor, desk, words=name)
    return answered(desk, sent, f"change-{name}", doing, "admin/people", again)


@people.post("/{name}/disable")
def disable(request: Request, visitor: SignedIn, desk: TheDesk, name: Name, sent: Form) -> Response:
    def doing() -> None:
        reason = sent.text("reason")
        accounts.disable(desk.gate, desk.accounts, visitor.person, name, reason, desk.clock())

    again = partial(_people, request, visitor, desk, words=name)
    return answered(desk, sent, f"change-{name}", doing, "admin/people", again)


def _people(
    request: Request,
    visitor: Visitor,
    desk: Desk,
    sent: Sent = NOTHING,
    status: int = 200,
    made: tuple[str, str] | None = None,
    number: int = 1,
    words: str = "",
) -> Response:
    """The page also stands while the hub is away: then it says that it does not know who has an account."""
    try:
        known, away = {each.name: each.groups for each in desk.accounts.everybody()}, None
    except Fault as fault:
        known, away = {}, fault
    with desk.gate.store.read() as c:
        found = overview.people(c, known, number, words)
    changes = may(desk.gate.engine, visitor.person, "manage_people", desk.clock(), account=_SOMEBODY).allow
    more = {
        "people": found,
        "words": words,
        "known": known,
        "away": away,
        "made": made,
        "roles": list(Role),
        "changes": changes,
    }
    return page(request, visitor, desk, "admin_people.html", sent, status, **more)


def _role(sent: Sent) -> Role:
    try:
        return Role(sent.text("role"))
    except ValueError as odd:
        raise Malformed(
            "No role was given.", why="The form names none that there is.", do="Choose one and send it again."
        ) from odd
