"""The desk's pages. Each handler reads, asks at most one verb to act, and renders; after a change it redirects."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.context import SignedIn, TheDesk
from egress_gate.desk.dossier import figure_picture, notebook_frame, request_view, sees_evidence
from egress_gate.desk.i18n import LANGUAGES
from egress_gate.desk.json_api import Name, ReleaseId, bundle_response, number_of
from egress_gate.desk.rendering import render
from egress_gate.desk.session import LANGUAGE, THEME, safe_next
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.render.notebook import policy
from egress_gate.service.converse import say
from egress_gate.service.delegate import lend, take_back
from egress_gate.service.deliver import revoke
from egress_gate.service.errors import Malformed, NotAllowed
from egress_gate.service.reading import visible
from egress_gate.service.reexecution import ask as rerun_notebook
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import withdraw
from egress_gate.service.trace import trace
from egress_gate.store import catalogue, messages, views
from egress_gate.store.messages import Audience
from egress_gate.store.standing import delayed, standings
from store.clock import stamp

pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Text = Annotated[str, Form(max_length=8000)]
Short = Annotated[str, Form(max_length=200)]
ITEM_FIELD = "item:"
NOTE_FIELD = "note:"
CELL_FIELD = "cell:"


async def item_verdicts(request: Request) -> dict[str, ReviewVerdict]:
    """The verdict on each output, from the form's fields ``item:NAME``. Raises Malformed for another word."""
    form = await request.form()
    try:
        return {
            name.removeprefix(ITEM_FIELD): ReviewVerdict(str(value))
            for name, value in form.items()
            if name.startswith(ITEM_FIELD) and value
        }
    except ValueError as bad:
        raise Malformed(
            "The verdict on an output could not be read.", why="It is approve, return or reject.", do="Reload the page."
        ) from bad


async def item_notes(request: Request) -> dict[str, str]:
    """What the form says of each output besides, from its fields ``note:NAME``."""
    form = await request.form()
    return {n.removeprefix(NOTE_FIELD): str(v)[:8000] for n, v in form.items() if n.startswith(NOTE_FIELD)}


async def cell_ticks(request: Request) -> dict[str, frozenset[str]]:
    """The outputs of each notebook that were ticked, from the form's fields ``cell:NAME``."""
    form = await request.form()
    made: dict[str, set[str]] = {}
    for name, value in form.multi_items():
        if name.startswith(CELL_FIELD):
            made.setdefault(name.removeprefix(CELL_FIELD), set()).add(str(value)[:20])
    return {name: frozenset(found) for name, found in made.items()}


CellTicks = Annotated[dict[str, frozenset[str]], Depends(cell_ticks)]
ItemNotes = Annotated[dict[str, str], Depends(item_notes)]
ItemVerdicts = Annotated[dict[str, ReviewVerdict], Depends(item_verdicts)]


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
        standing = standings(c, visitor.person, found.rows, stamp(desk.clock()))
        late = delayed(c, visitor.person)
    return render(
        request,
        visitor,
        "queue.html",
        page=found,
        counts=counts,
        standing=standing,
        delayed=late,
        now=desk.clock(),
    )


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
    following = None
    if view.buttons:
        with desk.gate.store.read() as c:
            following = views.next_in_queue(c, visitor.person, view.request.id)
    return render(request, visitor, "request.html", view=view, following=following, now=desk.clock())


@pages.get("/requests/{name}/live")
def live(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Name, seen: Annotated[str, Query(max_length=60)] = ""
) -> Response:
    """Nothing while the page that asks is up to date; a line to show above it once it is not."""
    found = visible(desk.gate, visitor.person, number_of(name), desk.clock())
    row, is_author = found.request, found.request.author == visitor.person.name
    with desk.gate.store.read() as c:
        to_all = sees_evidence(visitor, found) and not is_author
        said = len(messages.everything(c, row.id) if to_all else messages.to_author(c, row.id))
    standing = f"{row.state.value}.{row.revision}"
    if seen == f"{standing}.{said}":
        return Response(status_code=204)
    return render(request, visitor, "_live.html", row=row, said=seen.startswith(f"{standing}."), quiet=is_author)


@pages.get("/requests/{name}/figures/{item}")
def figure_image(visitor: SignedIn, desk: TheDesk, name: Name, item: Annotated[str, Path(max_length=80)]) -> Response:
    """The picture alone, as it would leave: made of pixels by the gate, with a policy under which nothing in it could run."""
    png = figure_picture(desk, visitor, number_of(name), item)
    return Response(png, media_type="image/png", headers={"cache-control": "no-store", "content-disposition": "inline"})


@pages.get("/requests/{name}/notebooks/{item}")
def notebook_inside(
    visitor: SignedIn, desk: TheDesk, name: Name, item: Annotated[str, Path(max_length=80)]
) -> Response:
    """A notebook inside its frame, under a policy by which nothing in it runs or loads."""
    inside = notebook_frame(desk, visitor, number_of(name), item)
    headers = {"cache-control": "no-store", "content-security-policy": policy(), "x-frame-options": "SAMEORIGIN"}
    return HTMLResponse(inside, headers=headers)


@pages.post("/requests/{name}/review")
def give_review(
    visitor: SignedIn,
    desk: TheDesk,
    name: Name,
    verdict: Annotated[ReviewVerdict, Form()],
    reason: Text,
    revision: Annotated[int, Form(ge=1, le=10**6)],
    items: ItemVerdicts,
    notes: ItemNotes,
    cells: CellTicks,
    seen: Annotated[State, Form()] = State.IN_REVIEW,
) -> Response:
    opinion = Opinion(verdict, reason, items, notes if items else None, cells)
    review(desk.gate, visitor.person, number_of(name), opinion, desk.clock(), revision, seen)
    return RedirectResponse(f"{desk.prefix}requests/{name}", 303)


@pages.post("/requests/{name}/withdraw")
def withdraw_page(visitor: SignedIn, desk: TheDesk, name: Name) -> Response:
    withdraw(desk.gate, visitor.person, number_of(name), desk.clock())
    return RedirectResponse(f"{desk.prefix}requests/{name}", 303)


@pages.post("/requests/{name}/rerun")
def rerun_page(
    visitor: SignedIn,
    desk: TheDesk,
    name: Name,
    output: Short,
    revision: Annotated[int, Form(ge=1, le=10**6)],
) -> Response:
    rerun_notebook(desk.gate, visitor.person, number_of(name), output, desk.clock(), revision)
    return RedirectResponse(f"{desk.prefix}requests/{name}", 303)


@pages.post("/requests/{name}/message")
def send_message(
    visitor: SignedIn, desk: TheDesk, name: Name, body: Text, audience: Annotated[Audience, Form()]
) -> Response:
    say(desk.gate, visitor.person, number_of(name), audience, body, desk.clock())
    return RedirectResponse(f"{desk.prefix}requests/{name}#talk", 303)


@pages.get("/releases")
def releases_page(request: Request, visitor: SignedIn, desk: TheDesk, page: PageNumber = 1) -> Response:
    with desk.gate.store.read() as c:
        found = views.release_lines(c, visitor.person, page)
    return render(request, visitor, "releases.html", releases=found)


@pages.get("/releases/{number}/trace")
def trace_page(request: Request, visitor: SignedIn, desk: TheDesk, number: ReleaseId) -> Response:
    """A release traced back to data, code, checks, policy and people."""
    found = trace(desk.gate, visitor.person, number, desk.clock())
    return render(request, visitor, "trace.html", trace=found)


@pages.get("/votes")
def votes_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    """Which votes a steward holds, lent and borrowed."""
    if not visitor.is_one_of("stewards"):
        raise not_for_you("This page", "stewards")
    with desk.gate.store.read() as c:
        held = catalogue.datasets_of_steward(c, visitor.person.name)
        lent = catalogue.delegations(c, visitor.person.name)
    return render(request, visitor, "votes.html", held=held, lent=lent, now=stamp(desk.clock()))


@pages.post("/votes")
def lend_vote(
    visitor: SignedIn, desk: TheDesk, dataset: Short, delegate: Short, until: Annotated[date, Form()]
) -> Response:
    end = datetime.combine(until, time.max, tzinfo=UTC)
    lend(desk.gate, visitor.person, dataset, delegate.strip(), end, desk.clock())
    return RedirectResponse(f"{desk.prefix}votes", 303)


@pages.post("/votes/{number}/end")
def end_vote(visitor: SignedIn, desk: TheDesk, number: ReleaseId) -> Response:
    take_back(desk.gate, visitor.person, number, desk.clock())
    return RedirectResponse(f"{desk.prefix}votes", 303)


@pages.get("/releases/{number}/download")
def download_page(visitor: SignedIn, desk: TheDesk, number: ReleaseId) -> Response:
    return bundle_response(desk, visitor, number)


@pages.post("/releases/{number}/revoke")
def revoke_page(visitor: SignedIn, desk: TheDesk, number: ReleaseId, reason: Text) -> Response:
    revoke(desk.gate, visitor.person, number, reason, desk.clock())
    return RedirectResponse(f"{desk.prefix}releases", 303)


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


def not_for_you(what: str, whom: str) -> NotAllowed:
    return NotAllowed(f"{what} is not shown to you.", why=f"It is for {whom}.", do="Ask an administrator for the role.")
