"""Faults to HTTP: the one place where codes become statuses, and where every error gets the same shape."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from egress_gate.service.errors import Malformed, NotAllowed, NotFound, TooLarge, no_such
from installation.fault import Fault

STATUS: Mapping[str, int] = {
    "signed-out": 401,
    "sandbox-unknown": 403,
    "not-allowed": 403,
    "review-refused": 403,
    "forged": 403,
    "not-found": 404,
    "not-ready": 404,
    "conflict": 409,
    "transition-refused": 409,
    "gone": 410,
    "too-large": 413,
    "item-refused": 422,
    "malformed": 422,
    "too-many": 429,
    "hub-away": 503,
    "process": 503,
    "policy-unavailable": 503,
    "policy-unreadable": 503,
    "recomputer-away": 503,
}


class BrokenDesk(Fault):
    code = "broken"


def status_of(fault: Fault) -> int:
    """422 for what a sender can correct by reading the fault; anything unlisted is of that kind."""
    return 500 if isinstance(fault, BrokenDesk) else STATUS.get(fault.code, 422)


def fault_of(error: Exception) -> Fault:
    """Any exception as a Fault in its public voice; what nobody foresaw says nothing of its inside."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, RequestValidationError):
        return _malformed(error)
    if isinstance(error, HTTPException):
        return _http(error)
    return BrokenDesk(
        "The desk met an error of its own.",
        why="Its cause is in the gate's log. Nothing was released because of it.",
        do="Try again; if it stays so, tell an administrator the time.",
        private=repr(error),
    )


def _malformed(error: RequestValidationError) -> Malformed:
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "unreadable"}
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    return Malformed(
        f"The field {where} is not as expected." if where else "The request could not be read.",
        why=str(first["msg"]).rstrip(".") + ".",
        do="Correct it and send the request again.",
    )


def _http(error: HTTPException) -> Fault:
    if error.status_code == 404:
        return no_such("page")
    if error.status_code == 405:
        return WrongMethod("This address does not take that method.", why="It exists for another.", do="See the API.")
    if error.status_code == 413:
        return TooLarge("That is too large.", why="The gate takes bounded requests.", do="Send less at once.")
    if error.status_code == 403:
        return NotAllowed("That is not allowed.", why="The desk refused it.", do="Ask an administrator.")
    return Malformed("The request could not be read.", why="It is not well formed.", do="Correct it and try again.")


class WrongMethod(NotFound):
    code = "wrong-method"


STATUS = {**STATUS, "wrong-method": 405}
