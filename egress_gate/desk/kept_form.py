"""A form that is refused comes back as it was sent, with what, why and what to do above it: nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from egress_gate.desk.context import MOST_FIELDS, Desk
from egress_gate.desk.faults import status_of
from egress_gate.service.errors import Malformed, NotAllowed, NotFound, SignedOut
from installation.fault import Fault

GONE = (SignedOut, NotAllowed, NotFound)  # there is no page to come back to


@dataclass(frozen=True)
class Sent:
    """The fields of a form, and why it was refused if it was. `form` tells a page's forms apart; "" for none."""

    form: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Fault | None = None

    def __call__(self, form: str, name: str, default: str = "") -> str:
        """What stood in a field of `form`."""
        return self.all(form, name)[0] if self.all(form, name) else default

    def all(self, form: str, name: str) -> tuple[str, ...]:
        return self.fields.get(name, ()) if form == self.form else ()

    def text(self, name: str) -> str:
        """A field's text without the space around it."""
        return next(iter(self.fields.get(name, ())), "").strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """A repeated field, or one with a name on each line or between commas."""
        found = (part.strip() for text in self.fields.get(name, ()) for part in text.replace(",", "\n").split("\n"))
        return tuple(dict.fromkeys(part for part in found if part))

    def day(self, name: str) -> datetime:
        """The end of that day. Raises Malformed."""
        try:
            return datetime.combine(date.fromisoformat(self.text(name)), time.max, tzinfo=UTC)
        except ValueError as odd:
            raise Malformed(
                "The date could not be read.",
                why="It is empty, or not written as year, month and day.",
                do="Write it like 2027-12-31 and send the form again.",
            ) from odd

    def numbers(self, prefix: str) -> dict[str, int]:
        """Whole numbers in the fields that begin with `prefix`, by the rest of their names; empty ones are left out."""
        found = {name.removeprefix(prefix): self.text(name) for name in self.fields if name.startswith(prefix)}
        for name, text in found.items():
            if text and not (text.isascii() and text.isdigit() and len(text) < 19):
                raise Malformed(
                    f"{text[:30]!a} is not a number.",
                    why=f"The field {name[:40]} takes a whole number, or nothing.",
                    do="Correct it and send the form again.",
                )
        return {name: int(text) for name, text in found.items() if text}


NOTHING = Sent()


async def _sent(request: Request) -> Sent:
    form = await request.form(max_fields=MOST_FIELDS)
    found: dict[str, tuple[str, ...]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and name != "csrf":
            found[name] = (*found.get(name, ()), value)
    return Sent(fields=found)


Form = Annotated[Sent, Depends(_sent)]


def answered(
    desk: Desk, sent: Sent, form: str, doing: Callable[[], object], back: str, again: Callable[[Sent, int], Response]
) -> Response:
    """Do it and go to `back`; or show the page `again`, with what was sent.

    Policy's no and what does not exist have a page of their own.
    """
    try:
        doing()
    except Fault as fault:
        if isinstance(fault, GONE):
            raise
        return again(Sent(form, sent.fields, fault), status_of(fault))
    return RedirectResponse(f"{desk.prefix}{back}", 303)
