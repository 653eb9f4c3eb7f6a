"""Policy replay: what other rules would have said of every recorded decision. Nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.rendering import render
from egress_gate.desk.replaying import Run
from egress_gate.domain.request import request_number
from egress_gate.policy.ask import may
from egress_gate.service import trial
from egress_gate.service.errors import NotFound
from egress_gate.service.reading import visible
from egress_gate.service.replay import Replayed, replay

policy = APIRouter(prefix="/policy", include_in_schema=False, default_response_class=HTMLResponse)
File = Annotated[str, Query(max_length=40)]
MOST_SHOWN = 200


@policy.get("")
def policy_page(request: Request, visitor: SignedIn, desk: TheDesk, file: File = trial.FILES[0]) -> Response:
    """The numbers in force, to change a copy of them and see what would have come of it; and the last replay, as far as it is."""
    _require(desk, visitor)
    return _page(request, visitor, desk, file, trial.in_force(file))


@policy.post("/replay")
def policy_replay(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    file: Annotated[str, Form(max_length=40)] = "",
    text: Annotated[str, Form(max_length=trial.MAX_TEXT)] = "",
) -> Response:
    """With the policies in force; or, when a file of numbers comes along, with that in its place."""
    _require(desk, visitor)
    engine = trial.engine_with(file, text) if file else desk.gate.engine
    desk.replays.start(Run(visitor.person.name, file, text), partial(replay, desk.gate, engine))
    name = file or trial.FILES[0]
    return _page(request, visitor, desk, name, text if file else trial.in_force(name))


def _page(request: Request, visitor: Visitor, desk: Desk, file: str, text: str) -> Response:
    run = desk.replays.last
    shown = run.report.differences[:MOST_SHOWN] if run and run.report else ()
    return render(
        request,
        visitor,
        "policy.html",
        run=run,
        shown=shown,
        readable=_readable(desk, visitor, shown),
        files=trial.FILES,
        file=file,
        text=text,
    )


def _readable(desk: Desk, visitor: Visitor, shown: Iterable[Replayed]) -> frozenset[str]:
    """Requests whose cells this person may see: a key may be somebody's. Others read how many there are."""
    found = set()
    for name in {d.request for d in shown if d.outputs}:
        try:
            visible(desk.gate, visitor.person, request_number(name), desk.clock())
        except NotFound:
            continue
        found.add(name)
    return frozenset(found)


def _require(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the policy page")
