"""One sandbox on one page: the proof of its isolation, and every executed cell. For stewards of its data, and auditors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from egress_gate.desk.context import SignedIn, TheDesk
from egress_gate.desk.rendering import render
from egress_gate.service import sessions

sandboxes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@sandboxes.get("/sandboxes/{sandbox}")
def sandbox_page(
    request: Request,
    visitor: SignedIn,
    desk: TheDesk,
    sandbox: Annotated[str, Path(max_length=64)],
    kind: Annotated[str, Query(pattern=r"^(?:cell|shown|refused|upload|sign_in)?$")] = "cell",
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    found = sessions.session(desk.gate, visitor.person, sandbox, desk.clock(), kind=kind, before=before)
    return render(request, visitor, "sandbox.html", found=found, kind=kind)
