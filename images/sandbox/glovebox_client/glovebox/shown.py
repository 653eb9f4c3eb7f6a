"""Requests and previews as a notebook shows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any

from glovebox.door import call, mimebundle
from glovebox.findings import WORDS

MOST_LISTED = 20
WAITING = frozenset({"submitted", "checking", "releasing"})
COLOURS = {
    "released": "#2a7d4f", "approved": "#2a7d4f", "in_review": "#2a5d9f", "returned": "#b58900", "refused": "#b3402a",
    "rejected": "#b3402a", "revoked": "#b3402a",
}  # fmt: skip
SAYS = {
    "submitted": "stored; the gate will check it",
    "checking": "the gate computes and judges it",
    "in_review": "passed the checks; a steward decides",
    "returned": "sent back to you for changes",
    "refused": "refused by the rules",
    "rejected": "refused by a steward",
    "approved": "approved; the gate writes the files",
    "releasing": "the gate writes the files",
    "released": "released; download it in the review desk",
    "revoked": "stopped after release",
    "withdrawn": "taken back by you",
    "expired": "nobody decided in time",
}


def _sentence(fact: Any) -> str:
    """A finding or reason in its public words, whatever of these it carries."""
    if not fact or isinstance(fact, str):
        return fact or ""
    parts = [str(fact[key]) for key in ("what", "message", "why", "remedy", "do") if fact.get(key)]
    named = str(fact.get("rule") or fact.get("code") or "")
    return " ".join(parts) or WORDS.get(named, named)


class Request:
    """One release request. Shows where it stands, what was found, and what to do."""

    def __init__(self, facts: dict[str, Any], foreseen: Sequence[str] = ()) -> None:
        self._facts = facts
        self._foreseen = tuple(foreseen)

    @property
    def id(self) -> str:
        return str(self._facts["id"])

    @property
    def state(self) -> str:
        return str(self._facts["state"])

    @property
    def title(self) -> str:
        return str(self._facts.get("title", ""))

    @property
    def facts(self) -> dict[str, Any]:
        """All that the gate says of it."""
        return dict(self._facts)

    @property
    def reasons(self) -> list[str]:
        found = list(self._facts.get("reasons") or []) + list(self._facts.get("findings") or [])
        for item in self._facts.get("items") or []:
            if isinstance(item, dict):
                found += list(item.get("findings") or [])
        found += [review.get("reason") for review in self._facts.get("reviews") or []]
        found += [message.get("text") for message in self._facts.get("messages") or []]
        found.append(self._facts.get("waiting_because"))
        found += self._foreseen if self.state in WAITING else ()
        return list(dict.fromkeys(text for text in map(_sentence, found) if text))

    def refresh(self) -> Request:
        """Ask the gate again."""
        self._facts = call("GET", f"/v1/requests/{self.id}")
        return self

    def withdraw(self) -> Request:
        """Take it back. Works until it is released."""
        self._facts = {**self._facts, **(call("POST", f"/v1/requests/{self.id}/withdraw") or {})}
        return self

    def wait(self, seconds: float = 60) -> Request:
        """Wait until the gate has judged it, or the time is over; shows where it then stands."""
        pause, until = 0.3, time.monotonic() + seconds
        while self.refresh().state in WAITING and time.monotonic() < until:
            time.sleep(min(pause, max(until - time.monotonic(), 0)))
            pause = min(pause * 1.5, 3.0)
        return self

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mimebundle(self._facts)

    def __repr__(self) -> str:
        lines = [f"{self.id} {self.title!r}: {self.state} ({SAYS.get(self.state, 'see the review desk')})"]
        return "\n".join(lines + [f"  - {reason}" for reason in self.reasons])

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.state, "#667")
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return (
            f"<div style='border-left:4px solid {colour};padding:.3em .8em'><strong>{escape(self.id)}</strong> {escape(self.title)}"
            f"<br><span style='color:{colour}'>{escape(self.state)}</span> — {escape(SAYS.get(self.state, ''))}"
            f"{f'<ul>{reasons}</ul>' if reasons else ''}</div>"
        )


class Requests(tuple[Request, ...]):
    """My requests, shown as a table."""

    told: Any = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mimebundle(self.told)

    def __repr__(self) -> str:
        return "\n".join(f"{r.id:<8} {r.state:<10} {r.title}" for r in self) or "No requests yet."

    def _repr_html_(self) -> str:
        if not self:
            return "<p>No requests yet.</p>"
        rows = "".join(
            f"<tr><td>{escape(r.id)}</td><td style='color:{COLOURS.get(r.state, '#667')}'>{escape(r.state)}</td>"
            f"<td style='text-align:left'>{escape(r.title)}</td><td style='text-align:left'>{escape(SAYS.get(r.state, ''))}</td></tr>"
            for r in self
        )
        return f"<table><thead><tr><th>request</th><th>state</th><th>title</th><th></th></tr></thead><tbody>{rows}</tbody></table>"


def _altered(protection: dict[str, Any]) -> str:
    if protection.get("method") == "round":
        return f"Counts would be rounded to multiples of {protection['base']}; rows of nothing but zeros are left out."
    if protection.get("method") == "noise":
        return f"Noise would be added, at a cost of {protection['epsilon']} of the project's privacy budget; small rows are left out."
    return ""


class Preview:
    """What the gate would hide, in words. Holds no figure of the data."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    @property
    def lines(self) -> list[str]:
        cells = self._facts.get("cells") or []
        hidden = [cell.get("key") or {} for cell in cells if cell.get("suppressed") is not None]
        said = [f"{len(hidden)} of {len(cells)} cells would be hidden."] if hidden else []
        said += [_altered(self._facts.get("protection") or {})]
        said += [", ".join(f"{name} = {value}" for name, value in key.items()) for key in hidden[:MOST_LISTED]]
        said += [_sentence(finding) for finding in self._facts.get("findings") or []]
        return list(dict.fromkeys(text for text in said if text))

    def __repr__(self) -> str:
        return (
            "\n".join(f"- {line}" for line in self.lines)
            or "Nothing would be hidden. Policy and a steward still decide."
        )

    def _repr_html_(self) -> str:
        if not self.lines:
            return f"<p>{escape(repr(self))}</p>"
        return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in self.lines) + "</ul>"
