"""Policy replay: what other rules would have said of every recorded decision. Nothing is changed by asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.rendering import render
from egress_gate.policy.ask import may
from egress_gate.service import trial
from egress_gate.service.replay import replay

policy = APIRouter(prefix="/policy", include_in_schema=False, default_response_class=HTMLResponse)
File = Annotated[str, Query(max_length=40)]


@policy.get("")
def policy_page(request: Request, visitor: SignedIn, desk: TheDesk, file: File = trial.FILES[0]) -> Response:
    """The numbers in force, to change a copy of them and see what would have come of it."""
    _require(desk, visitor)
    text = trial.in_force(file)
    return render(request, visitor, "policy.html", report=None, files=trial.FILES, file=file, text=text, tried=False)


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
    report = replay(desk.gate.store, desk.gate.blobs, engine)
    shown, name = (text, file) if file else (trial.in_force(trial.FILES[0]), trial.FILES[0])
    return render(
        request, visitor, "policy.html", report=report, files=trial.FILES, file=name, text=shown, tried=bool(file)
    )


def _require(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the policy page")
