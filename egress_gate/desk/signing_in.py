"""Sign-in through the hub: the desk sends the browser there and takes it back with a code."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from egress_gate.desk.context import SignedIn, TheDesk, hub_session, signed_out
from egress_gate.desk.session import Session, SigningIn, safe_next
from egress_gate.service.errors import Forged

doorway = APIRouter(include_in_schema=False)


@doorway.get("/login")
def login(desk: TheDesk, next: Annotated[str, Query(max_length=500)] = "") -> Response:
    state = secrets.token_urlsafe(24)
    challenge = desk.identity.challenge(state)
    response = RedirectResponse(challenge.url, 302)
    desk.cookies.begin(response, SigningIn(state, challenge.verifier, safe_next(next, desk.prefix)))
    return response


@doorway.get("/oauth_callback")
def oauth_callback(
    request: Request,
    desk: TheDesk,
    code: Annotated[str, Query(max_length=500)] = "",
    state: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    pending = desk.cookies.signing_in(request)
    if pending is None or not code or not hmac.compare_digest(pending.state.encode(), state.encode()):
        raise Forged(
            "The sign-in could not be finished.",
            why="It was not begun in this browser, or it took longer than ten minutes.",
            do="Open the desk again and sign in.",
        )
    token = desk.identity.token_for(code, pending.verifier)
    if desk.identity.person_for(token, hub_session(request)) is None:
        raise signed_out()
    response = RedirectResponse(safe_next(pending.next, desk.prefix), 302)
    desk.cookies.sign_in(response, Session.fresh(token))
    return response


@doorway.post("/logout")
def logout(visitor: SignedIn, desk: TheDesk) -> Response:
    """Forget this browser here, then let the hub do the same."""
    response = RedirectResponse(desk.hub_logout, 303)
    desk.cookies.sign_out(response)
    return response
