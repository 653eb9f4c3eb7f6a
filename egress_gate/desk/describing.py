"""A steward's description of a dataset, from a form to the parts that `./glovebox dataset describe` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egress_gate.desk.kept_form import Sent

TEXTS = ("source", "legal_basis", "retention_until")
PARTS = {"identifier.": "identifiers", "unit.": "units", "key.": "keys"}


def described(sent: Sent, said: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are filled in. Of columns that the form does not show, what was said before stays."""
    parts: dict[str, Any] = {name: sent.text(name) for name in TEXTS if sent.text(name)}
    for prefix, part in PARTS.items():
        shown = {name.removeprefix(prefix): sent.text(name) for name in sent.fields if name.startswith(prefix)}
        kept = {place: value for place, value in said.get(part, {}).items() if place not in shown}
        if shown:
            parts[part] = kept | {place: value for place, value in shown.items() if value}
    return parts
