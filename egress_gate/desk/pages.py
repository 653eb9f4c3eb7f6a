"""The desk's pages. Each handler reads, asks at most one verb to act, and renders; after a change it redirects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.dossier import request_view
from egress_gate.desk.i18n import LANGUAGES
from egress_gate.desk.json_api import Name, ReleaseId, bundle_response, number_of
from egress_gate.desk.rendering import render
from egress_gate.desk.session import LANGUAGE, THEME, safe_next
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.ask import may
from egress_gate.service.converse import say
from egress_gate.service.deliver import revoke
from egress_gate.service.errors import NotAllowed
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import withdraw
from egress_gate.service.verify import verify_ledger
from egress_gate.store import catalogue, overview, views
from egress_gate.store.messages import Audience

pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Text = Annotated[str, Form(max_length=8000)]


@pages.get("/")
def home(visitor: SignedIn, desk: TheDesk) -> Response:
    """Each role's first page."""
    first = "requests"
    if visitor.is_one_of("stewards"):
        first = "queue"
    elif visitor.is_one_of("auditors"):
        first = "ledger"
    elif visitor.is_one_of("admins"):
        first = "admin"
    return RedirectResponse(desk.prefix + first, 302)


@pages.get("/queue")
def queue(request: Request, visitor: SignedIn, desk: TheDesk, page: PageNumber = 1) -> Response:
    if not visitor.is_one_of("stewards", "auditors"):
        raise not_for_you("The queue", "stewards and auditors")
    with desk.gate.store.read() as c:
        found = views.queue(c, visitor.person, State.IN_REVIEW, page)
        counts = views.counts(c, visitor.person)
    return render(request, visitor, "queue.html", page=found, counts=counts, now=desk.clock())


@pages.get("/requests")
def requests_list(
    request: Request, visitor: SignedIn, desk: TheDesk, page: PageNumber = 1, state: State | None = None
) -> Response:
    with desk.gate.store.read() as c:
        wide = visitor.is_one_of("stewards", "auditors")
        listed = views.everything if wide else views.own
        found = listed(c, visitor.person, state, page)
        counts = views.counts(c, visitor.person)
    return render(
        request, visitor, "requests.html", page=found, counts=counts, state=state, wide=wide, now=desk.clock()
    )


@pages.get("/requests/{name}")
def request_page(request: Request, visitor: SignedIn, desk: TheDesk, name: Name) -> Response:
    view = request_view(desk, visitor, number_of(name))
    return render(request, visitor, "request.html", view=view, now=desk.clock())


@pages.post("/requests/{name}/review")
def give_review(
    visitor: SignedIn,
    desk: TheDesk,
    name: Name,
    verdict: Annotated[ReviewVerdict, Form()],
    reason: Text,
    revision: Annotated[int, Form(ge=1, le=10**6)],
) -> Response:
    review(desk.gate, visitor.person, number_of(name), Opinion(verdict, reason), desk.clock(), revision)
    return RedirectResponse(f"{desk.prefix}requests/{name}", 303)


@pages.post("/requests/{name}/withdraw")
def withdraw_page(visitor: SignedIn, desk: TheDesk, name: Name) -> Response:
    withdraw(desk.gate, visitor.person, number_of(name), desk.clock())
    return RedirectResponse(f"{desk.prefix}requests/{name}", 303)


@pages.post("/requests/{name}/message")
def send_message(
    visitor: SignedIn, desk: TheDesk, name: Name, body: Text, audience: Annotated[Audience, Form()]
) -> Response:
    say(desk.gate, visitor.person, number_of(name), audience, body, desk.clock())
    return RedirectResponse(f"{desk.prefix}requests/{name}#talk", 303)


@pages.get("/releases")
def releases_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    with desk.gate.store.read() as c:
        found = views.release_lines(c, visitor.person)
    return render(request, visitor, "releases.html", releases=found)


@pages.get("/releases/{number}/download")
def download_page(visitor: SignedIn, desk: TheDesk, number: ReleaseId) -> Response:
    return bundle_response(desk, visitor, number)


@pages.post("/releases/{number}/revoke")
def revoke_page(visitor: SignedIn, desk: TheDesk, number: ReleaseId, reason: Text) -> Response:
    revoke(desk.gate, visitor.person, number, reason, desk.clock())
    return RedirectResponse(f"{desk.prefix}releases", 303)


@pages.get("/ledger")
def ledger_page(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    _require_ledger(desk, visitor)
    with desk.gate.store.read() as c:
        events = views.ledger_page(c, before, 100)
        checkpoint = views.checkpoint(c)
    return render(request, visitor, "ledger.html", events=events, checkpoint=checkpoint, verified=None)


@pages.post("/ledger/verify")
def ledger_verify_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    _require_ledger(desk, visitor)
    verified = verify_ledger(desk.gate)
    with desk.gate.store.read() as c:
        events = views.ledger_page(c, None, 100)
        checkpoint = views.checkpoint(c)
    return render(request, visitor, "ledger.html", events=events, checkpoint=checkpoint, verified=verified)


@pages.get("/projects/{name}")
def project_page(request: Request, visitor: SignedIn, desk: TheDesk, name: str) -> Response:
    """The life of a project as one timeline."""
    _require_ledger(desk, visitor)
    with desk.gate.store.read() as c:
        project = catalogue.project(c, name)
        events = views.history(c, "project", name)
    return render(request, visitor, "timeline.html", title=name, project=project, events=events)


@pages.get("/people/{name}")
def person_page(request: Request, visitor: SignedIn, desk: TheDesk, name: str) -> Response:
    """A person's whole trail."""
    _require_ledger(desk, visitor)
    with desk.gate.store.read() as c:
        events = views.trail(c, name)
    return render(request, visitor, "timeline.html", title=name, project=None, events=events)


@pages.get("/admin")
def admin_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the administration page")
    with desk.gate.store.read() as c:
        found = overview.overview(c)
    return render(request, visitor, "admin.html", overview=found, now=desk.clock())


@pages.post("/preferences")
def preferences(
    visitor: SignedIn,
    desk: TheDesk,
    language: Annotated[str, Form(max_length=20)] = "",
    theme: Annotated[str, Form(max_length=20)] = "",
    back: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    response = RedirectResponse(safe_next(back, desk.prefix), 303)
    if language in LANGUAGES:
        desk.cookies.remember(response, LANGUAGE, language)
    if theme in ("light", "dark", "auto"):
        desk.cookies.remember(response, THEME, theme)
    return response


def _require_ledger(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_ledger", desk.clock()).require("read the ledger")


def not_for_you(what: str, whom: str) -> NotAllowed:
    return NotAllowed(f"{what} is not shown to you.", why=f"It is for {whom}.", do="Ask an administrator for the role.")
