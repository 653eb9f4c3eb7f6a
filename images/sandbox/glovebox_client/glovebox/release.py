"""Asking for a release, and following it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from glovebox.door import call
from glovebox.errors import Mistake
from glovebox.shown import Preview, Request, Requests

MOST_UPLOAD = 20 * 1024**2
METHODS = ("suppress", "round", "noise")
Asked: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Any"


def release(
    what: Asked, *, title: str = "", purpose: str = "", context: str = "", protection: str | Mapping[str, Any] | None = None,
    wait: float = 0, rehearse: bool = True,
) -> Request:  # fmt: skip
    """Ask to take something out. Returns the request, which is stored when this returns.

    The gate rehearses its check first: what it can already tell will be refused is not sent, and raises Refused with all the
    reasons; what would be hidden is said beside the request. ``rehearse=False`` sends at once, for the check itself to refuse.

    ``what`` is SQL, ``{name: sql}`` for several outputs at once, a compiled table (`crosstab` and its kin), a regression or a
    figure, or a path (``pathlib.Path``) for what cannot be computed by SQL: that takes the manual lane, where refusal is the default.
    ``protection`` asks for more than cells left out: ``"round"`` (counts to a multiple, margins still sums) or ``"noise"`` (differential
    privacy, at the cost of the project's budget); sums need bounds of what one person can add:
    ``{"method": "noise", "bounds": {"pay": [0, 90000]}}``.
    ``wait`` seconds, when given, until the gate has judged it. Raises Refused.
    """
    if not title.strip() or not purpose.strip():
        raise Mistake(
            "Nothing was asked for.",
            "A release names what it is (title) and what it is for (purpose).",
            'Add title="…" and purpose="…".',
        )
    body = {
        "title": title,
        "purpose": purpose,
        "context": context,
        "items": [_protected(i, protection) for i in _items(what)],
    }
    seen = call("POST", "/v1/rehearsal", body) if rehearse else {}
    made = Request(call("POST", "/v1/requests", body, headers={"Idempotency-Key": uuid.uuid4().hex}), _foreseen(seen))
    return made.wait(wait) if wait > 0 else made


def _foreseen(seen: Mapping[str, Any]) -> list[str]:
    """What would be hidden in each output, where anything would."""
    previews = [(o["name"], Preview(o["preview"])) for o in seen.get("outputs", ()) if o.get("preview")]
    return [
        f"{name}: {'; '.join(line.rstrip('.') for line in preview.lines)}."
        for name, preview in previews
        if preview.lines
    ]


def _items(what: Asked) -> list[dict[str, Any]]:
    if isinstance(what, Mapping):
        return [_item(str(name), value) for name, value in what.items()]
    if isinstance(what, Sequence) and not isinstance(what, str):
        return [_item(f"table{number}", value) for number, value in enumerate(what, 1)]
    return [_item(what.name if isinstance(what, Path) else "table1", what)]


def _protected(item: dict[str, Any], protection: str | Mapping[str, Any] | None) -> dict[str, Any]:
    if protection is None or item.get("kind", "table") not in ("table", "figure"):
        return item
    return {**item, "protection": _method(protection)}


def _method(protection: str | Mapping[str, Any]) -> dict[str, Any]:
    asked = {"method": protection} if isinstance(protection, str) else dict(protection)
    if asked.get("method") not in METHODS:
        raise Mistake(
            "The protection is not known.",
            f"It is one of {', '.join(METHODS)}.",
            'Write protection="round", for example.',
        )
    return asked


def _item(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, os.PathLike):
        return {"name": name, "kind": "file", "upload": upload(Path(value))}
    asked = getattr(value, "release_item", None)
    if isinstance(asked, dict):
        return {"name": name, **asked}
    text = value if isinstance(value, str) else getattr(value, "release_sql", None)
    if not isinstance(text, str) or not text.strip():
        raise Mistake(
            f"{name} cannot be asked for.",
            f"It is a {type(value).__name__}; a release is asked for as SQL, so that the gate can compute it again.",
            "Give the SQL text, a table made by glovebox.crosstab, groupby or pivot_table, or a pathlib.Path for the manual lane.",
        )
    return {"name": name, "kind": "table", "sql": text, "expected": None}


def upload(path: Path) -> str:
    """Hand a file to the gate's store and return its digest. Raises Mistake above 20 MiB."""
    if not path.is_file():
        raise Mistake(f"{path} was not handed over.", "It is not a file.", "Save it first.")
    if path.stat().st_size > MOST_UPLOAD:
        raise Mistake(f"{path} was not handed over.", "It is larger than 20 MiB.", "Ask for less, or for SQL outputs.")
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
    return str(call("PUT", "/v1/uploads", path.read_bytes(), headers=headers)["sha256"])


def preview(what: Any, *, protection: str | Mapping[str, Any] | None = None) -> Preview:
    """What the gate would hide in this table, and why, without any figure. Nothing is asked for by it. ``protection`` as in `release`."""
    asked = {} if protection is None else {"protection": _method(protection)}
    return Preview(call("POST", "/v1/preview", {"sql": _item("preview", what)["sql"], **asked}))


def requests() -> Requests:
    """My requests of this project, newest first."""
    told = call("GET", "/v1/requests")
    listed = Requests(Request(raw) for raw in told["requests"])
    listed.told = told
    return listed


def request(name: str) -> Request:
    """One request by its name, ``R-17``."""
    return Request(call("GET", f"/v1/requests/{name}"))
