"""The analyst API on the gate's socket. Who calls is known from the sandbox that the inner door names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egress_gate.desk.authoring import request_summary, request_view, session_view, tables_view
from egress_gate.desk.faults import fault_of, status_of
from egress_gate.desk.security import Bucket, Guard
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import request_number
from egress_gate.service import packages
from egress_gate.service.aside import Aside
from egress_gate.service.errors import TooLarge, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.preview import preview
from egress_gate.service.reading import visible
from egress_gate.service.rehearsal import rehearsal
from egress_gate.service.submit import (
    Caller,
    Draft,
    caller,
    record_upload,
    require_accepted,
    resubmit,
    submit,
    withdraw,
)
from installation.fault import Fault

MAX_BODY = 4 * 1024 * 1024
MAX_UPLOAD = 20 * 1024 * 1024


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Figures(Strict):
    """The table as the analyst got it; the gate's own must agree."""

    columns: list[str] = Field(max_length=200)
    rows: list[list[str | int | float | bool | None]] = Field(max_length=20_000)


class PackageBody(Strict):
    name: str = Field(max_length=64)
    reason: str = Field(max_length=500)


class Protection(Strict):
    """How a table is to be protected where suppression is not wanted: counts rounded, or noise added. Policy's own is the least."""

    method: Literal["suppress", "round", "noise"]
    base: int | None = None
    epsilon: float | None = None
    bounds: dict[str, tuple[float, float]] | None = Field(default=None, max_length=20)


class ItemBody(Strict):
    name: str
    kind: Literal["table", "file", "figure", "regression"] = "table"
    sql: str | None = None
    expected: Figures | None = None
    upload: str | None = None
    formula: str | None = None
    family: Literal["ols", "logit", "poisson"] | None = None
    spec: dict[str, Any] | None = None
    protection: Protection | None = None


class RequestBody(Strict):
    title: str
    purpose: str
    context: str = ""
    items: list[ItemBody]


class PreviewBody(Strict):
    sql: str
    protection: Protection | None = None


@dataclass(frozen=True)
class Counter:
    """What the handlers share."""

    gate: Gate
    clock: Callable[[], datetime]


def counter_of(request: Request) -> Counter:
    found: Counter = request.app.state.counter
    return found


def calling(request: Request, x_glovebox_sandbox: Annotated[str, Header(max_length=128)] = "") -> Caller:
    return caller(counter_of(request).gate, x_glovebox_sandbox)


Who = Annotated[Caller, Depends(calling)]
The = Annotated[Counter, Depends(counter_of)]


def build_analyst_api(gate: Gate, clock: Callable[[], datetime]) -> FastAPI:
    """The application for `settings.gate_socket`."""
    api = FastAPI(
        title="Glovebox analyst API", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json"
    )
    api.state.counter = Counter(gate, clock)
    for kind in (Fault, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, _fault_response)
    api.add_middleware(Guard, limit=_limit, bucket=Bucket(20, 100), sender=_sandbox_of)
    _session_routes(api)
    _request_routes(api)
    _package_routes(api)
    _upload_routes(api)
    return api


def _session_routes(api: FastAPI) -> None:
    @api.get("/v1/session")
    def session(who: Who, the: The) -> dict[str, Any]:
        return session_view(the.gate, who)

    @api.get("/v1/tables")
    def tables(who: Who, the: The) -> dict[str, Any]:
        return tables_view(the.gate, who)

    @api.post("/v1/preview")
    def would_be_suppressed(who: Who, the: The, body: PreviewBody) -> dict[str, Any]:
        return preview(the.gate, who, body.sql, the.clock(), _protection(body.protection))


def _request_routes(api: FastAPI) -> None:
    @api.post("/v1/requests", status_code=201)
    def submit_request(
        who: Who, the: The, body: RequestBody, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
    ) -> dict[str, Any]:
        row = submit(the.gate, who, draft_of(the.gate, body), the.clock(), idempotency_key)
        require_accepted(the.gate, row)
        return request_view(the.gate, who, row.id, the.clock())

    @api.post("/v1/rehearsal")
    def rehearse_request(who: Who, the: The, body: RequestBody) -> dict[str, Any]:
        gate = replace(the.gate, blobs=Aside(the.gate.blobs))
        return rehearsal(gate, who, draft_of(gate, body), the.clock())

    @api.get("/v1/requests")
    def own_requests(who: Who, the: The) -> dict[str, Any]:
        return {"requests": request_summary(the.gate, who)}

    @api.get("/v1/requests/{name}")
    def one_request(who: Who, the: The, name: str) -> dict[str, Any]:
        return request_view(the.gate, who, own_number(the, who, name), the.clock())

    @api.post("/v1/requests/{name}/resubmit")
    def resubmit_request(who: Who, the: The, name: str, body: RequestBody) -> dict[str, Any]:
        number = own_number(the, who, name)
        row = resubmit(the.gate, who.person, number, draft_of(the.gate, body), the.clock())
        require_accepted(the.gate, row)
        return request_view(the.gate, who, number, the.clock())

    @api.post("/v1/requests/{name}/withdraw")
    def withdraw_request(who: Who, the: The, name: str) -> dict[str, Any]:
        number = own_number(the, who, name)
        withdraw(the.gate, who.person, number, the.clock())
        return request_view(the.gate, who, number, the.clock())


def _package_routes(api: FastAPI) -> None:
    @api.get("/v1/packages")
    def package_shelf(who: Who, the: The) -> dict[str, Any]:
        return packages.shelf(the.gate, who)

    @api.post("/v1/packages", status_code=201)
    def ask_for_package(who: Who, the: The, body: PackageBody) -> dict[str, Any]:
        asked = packages.ask(the.gate, who, body.name, body.reason, the.clock())
        return {"name": asked["name"], "state": asked["state"], "asked_at": asked["asked_at"]}


def _upload_routes(api: FastAPI) -> None:
    @api.put("/v1/uploads", status_code=201)
    async def upload(request: Request, who: Who, the: The) -> dict[str, Any]:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_UPLOAD:
                raise TooLarge("The file is too large.", why="At most 20 MiB can be uploaded.", do="Send less.")
        digest = await run_in_threadpool(the.gate.blobs.put, bytes(data))
        await run_in_threadpool(record_upload, the.gate, who, digest, len(data), the.clock())
        return {"sha256": digest, "bytes": len(data)}


def own_number(the: Counter, who: Caller, name: str) -> int:
    """The number of a request of this sandbox's person in this sandbox's project. Raises NotFound for any other."""
    try:
        number = request_number(name)
    except ValueError as bad:
        raise no_such("request") from bad
    found = visible(the.gate, who.person, number, the.clock())
    if found.request.author != who.person.name or found.request.project != who.sandbox.project:
        raise no_such("request")
    return number


def draft_of(gate: Gate, body: RequestBody) -> Draft:
    """The body as a draft; figures that came with a table are stored under their digest."""
    return Draft(body.title, body.purpose, body.context, tuple(_item(gate, i) for i in body.items))


def _item(gate: Gate, body: ItemBody) -> Item:
    how = _protection(body.protection)
    if body.kind == "file":
        return Item(body.name, Kind.FILE, None, body.upload, how)
    if body.kind == "regression":
        asked = {"formula": body.formula, "family": body.family, **how}
        return Item(body.name, Kind.REGRESSION, body.sql, None, asked)
    if body.kind == "figure":
        return Item(body.name, Kind.FIGURE, body.sql, None, {"spec": body.spec, **how})
    if body.expected is None:
        return Item(body.name, Kind.TABLE, body.sql, None, how)
    figures = json.dumps(body.expected.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Item(body.name, Kind.TABLE, body.sql, gate.blobs.put(figures.encode()), how)


def _protection(asked: Protection | None) -> dict[str, Any]:
    """As an item declares it: only what was said."""
    return {} if asked is None else {"protection": asked.model_dump(exclude_none=True, mode="json")}


def _limit(scope: Any) -> int:
    return MAX_UPLOAD if scope["path"] == "/v1/uploads" else MAX_BODY


def _sandbox_of(scope: Any) -> str:
    return str(dict(scope["headers"]).get(b"x-glovebox-sandbox", b"").decode("ascii", "replace"))


async def _fault_response(_: Request, error: Exception) -> JSONResponse:
    fault = fault_of(error)
    return JSONResponse(fault.public(), status_of(fault))
