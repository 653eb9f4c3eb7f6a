"""The desk as one application under the hub's prefix: pages, JSON API, sign-in, static files."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from egress_gate.desk.admin_pages import admin
from egress_gate.desk.asking import asking
from egress_gate.desk.audit_pages import audit
from egress_gate.desk.context import Desk
from egress_gate.desk.data_pages import data
from egress_gate.desk.faults import fault_of, status_of
from egress_gate.desk.intake_pages import bringing
from egress_gate.desk.json_api import api
from egress_gate.desk.notice_pages import told
from egress_gate.desk.pages import pages
from egress_gate.desk.people_pages import people
from egress_gate.desk.policy_pages import policy
from egress_gate.desk.rendering import render_fault
from egress_gate.desk.sandbox_pages import sandboxes
from egress_gate.desk.security import Bucket, Guard
from egress_gate.desk.session import SESSION
from egress_gate.desk.signing_in import doorway
from egress_gate.desk.upload_api import body_limit, uploads
from egress_gate.service.errors import SignedOut
from installation.fault import Fault

log = logging.getLogger("glovebox.gate.desk")
STATIC = Path(__file__).parent / "static"
MAX_BODY = 256 * 1024


def build_desk(desk: Desk) -> FastAPI:
    """The ASGI application. `desk.prefix` begins and ends with a slash."""
    base = desk.prefix.rstrip("/")
    app = FastAPI(
        title="Glovebox review desk",
        version="1",
        summary="Requests, reviews, releases and the ledger.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{base}/api/openapi.json",
    )
    app.state.desk = desk
    for router in (
        api,
        asking,
        pages,
        admin,
        bringing,
        uploads,
        people,
        audit,
        policy,
        told,
        sandboxes,
        data,
        doorway,
    ):
        app.include_router(router, prefix=base)
    app.mount(f"{base}/static", StaticFiles(directory=STATIC), name="static")
    for kind in (Fault, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(Guard, limit=body_limit(base, MAX_BODY), bucket=Bucket(rate=20, burst=200), sender=_sender)
    return app


def _sender(scope: Any) -> str:
    """A sender is a session or a token, by digest; without either, the address."""
    headers = dict(scope["headers"])
    for name in (b"authorization", b"cookie"):
        value = headers.get(name, b"")
        if value and (name != b"cookie" or SESSION.encode() in value):
            return hashlib.sha256(value).hexdigest()
    return str((scope.get("client") or ("?",))[0])


async def _answer(request: Request, error: Exception) -> Response:
    """JSON under ``api/``, a page elsewhere; a signed-out reader of a page goes to the hub and comes back."""
    desk: Desk = request.app.state.desk
    fault = fault_of(error)
    status = status_of(fault)
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, fault.private or fault.what, exc_info=error)
    if request.url.path.startswith(f"{desk.prefix}api/"):
        return JSONResponse(fault.public(), status)
    if isinstance(fault, SignedOut) and request.method == "GET" and not request.url.path.endswith("oauth_callback"):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{desk.prefix}login?next={quote(wanted)}", 302)
    return render_fault(request, fault, status)
