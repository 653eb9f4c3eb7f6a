"""A person's own notices: what waits for them and what became of what they asked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from egress_gate.desk.context import SignedIn, TheDesk
from egress_gate.desk.rendering import render
from egress_gate.notify import notices

told = APIRouter(prefix="/notices", include_in_schema=False, default_response_class=HTMLResponse)


@told.get("")
def notices_page(request: Request, visitor: SignedIn, desk: TheDesk) -> Response:
    with desk.gate.store.read() as c:
        found = notices.of(c, visitor.person.name)
    return render(request, visitor, "notices.html", notices=found, now=desk.clock())


@told.post("/read")
def mark_read(visitor: SignedIn, desk: TheDesk, upto: Annotated[int, Form(ge=0, le=2**53)]) -> Response:
    """What they saw counts as read; what came meanwhile does not."""
    notices.read(desk.gate.store, visitor.person.name, upto, desk.clock())
    return RedirectResponse(f"{desk.prefix}notices", 303)
