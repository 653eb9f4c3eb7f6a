"""Policy replay: what other rules would have said of every recorded decision. Nothing is changed by asking."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.rendering import render
from egress_gate.policy.ask import may
from egress_gate.service.replay import replay

policy = APIRouter(prefix="/policy", include_in_schema=False, default_response_class=HTMLResponse)


@policy.get("")
def policy_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    _require(desk, visitor)
    return render(request, visitor, "policy.html", report=None)


@policy.post("/replay")
def policy_replay(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    _require(desk, visitor)
    report = replay(desk.gate.store, desk.gate.blobs, desk.gate.engine)
    return render(request, visitor, "policy.html", report=report)


def _require(desk: Desk, visitor: Visitor) -> None:
    may(desk.gate.engine, visitor.person, "view_admin", desk.clock()).require("see the policy page")
