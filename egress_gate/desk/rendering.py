"""Templates: autoescaped, in the reader's language, with the page's secret at hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from egress_gate.desk.authoring import NEXT
from egress_gate.desk.context import Desk, Visitor, desk_of, theme_of, voice_of
from egress_gate.desk.explain import overlap, whom
from egress_gate.desk.i18n import LANGUAGES, Voice
from egress_gate.desk.kept_form import NOTHING
from egress_gate.domain.request import OPEN, State
from egress_gate.notify import notices
from egress_gate.render.table import key_text
from egress_gate.store.views import HIGH, MEDIUM, Event
from installation.fault import Fault
from policy_engine import bundle

FOLDER = Path(__file__).parent
STATE_COLOUR: Mapping[State, str] = {
    State.SUBMITTED: "azure",
    State.CHECKING: "azure",
    State.REFUSED: "red",
    State.IN_REVIEW: "yellow",
    State.RETURNED: "orange",
    State.APPROVED: "teal",
    State.REJECTED: "red",
    State.RELEASING: "teal",
    State.RELEASED: "green",
    State.REVOKED: "pink",
    State.WITHDRAWN: "secondary",
    State.EXPIRED: "secondary",
}
MOVING = frozenset({State.SUBMITTED, State.CHECKING, State.APPROVED, State.RELEASING})
_AT = {  # how far along the four steps a state is, and how it ended if it did
    State.SUBMITTED: 1,
    State.CHECKING: 1,
    State.IN_REVIEW: 2,
    State.RETURNED: 2,
    State.APPROVED: 3,
    State.RELEASING: 3,
    State.RELEASED: 4,
}
_ENDED = {State.REFUSED: 1, State.REJECTED: 2, State.REVOKED: 3, State.WITHDRAWN: 2, State.EXPIRED: 2}
STEPS = ("sent", "checked by the gate", "decided by a steward", "released")
LEVELS = {1: "public", 2: "internal", 3: "sensitive", 4: "restricted"}


def life(state: State) -> tuple[tuple[str, str], ...]:
    """The four steps of a request, each ``done``, ``now``, ``ended`` or ``todo``."""
    at = _AT.get(state, _ENDED.get(state, 0))
    here = "ended" if state in _ENDED else "now"
    return tuple((step, "done" if n < at else here if n == at else "todo") for n, step in enumerate(STEPS))


@lru_cache(maxsize=1)
def _messages() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = bundle.read().data["data"]["messages"]
    return found


def message_of(code: str) -> str:
    """What policy says with a reason's code; the code itself when the policies in force know no such reason."""
    return _messages().get(code, {}).get("message", code)


def by_day(events: Iterable[Event]) -> list[tuple[str, list[Event]]]:
    """In the order they come, a list for each UTC day."""
    return [(day, list(some)) for day, some in groupby(events, lambda e: e.time[:10])]


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["groupby_day"] = by_day
    made.globals.update(
        colour=lambda state: STATE_COLOUR[State(state)],
        State=State,
        level=lambda n: LEVELS[n],
        band=lambda risk: "high" if risk >= HIGH else "medium" if risk >= MEDIUM else "low",
        json_lines=lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True),
        list_of=json.loads,
        dict_of=json.loads,
        sent=NOTHING,
        message_of=message_of,
        languages=LANGUAGES,
        overlap=overlap,
        whom=whom,
        key_text=key_text,
        life=life,
        what_next=NEXT,
        moving=MOVING,
        open_states=OPEN,
    )
    return made


def render(request: Request, visitor: Visitor, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return _page(request, visitor, visitor.voice, visitor.theme, template, status, values)


def render_fault(request: Request, fault: Fault, status: int) -> HTMLResponse:
    """A fault as a page, for somebody who may not be signed in."""
    return _page(request, None, voice_of(request), theme_of(request), "fault.html", status, {"fault": fault})


def _unread(desk: Desk, visitor: Visitor | None) -> int:
    """How many notices the bell counts."""
    if visitor is None:
        return 0
    with desk.gate.store.read() as c:
        return notices.unread(c, visitor.person.name)


def _page(
    request: Request,
    visitor: Visitor | None,
    voice: Voice,
    theme: str,
    template: str,
    status: int,
    values: Mapping[str, Any],
) -> HTMLResponse:
    desk = desk_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            visitor=visitor,
            voice=voice,
            _=voice.text,
            told=voice.told,
            theme=theme,
            prefix=desk.prefix,
            desk=desk,
            here=request.url.path,
            csrf=visitor.csrf if visitor else "",
            unread=_unread(desk, visitor),
            **values,
        )
    )
    return HTMLResponse(text, status)
