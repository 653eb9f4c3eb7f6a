"""What people say of a dataset besides its columns: source, legal basis, retention, units, keys, confirmed identifiers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from provisioning.domain import names
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.identifiers import DIRECT, QUASI, SENSITIVE

TEXTS = ("source", "legal_basis")
ROLES = (DIRECT, QUASI, SENSITIVE, "none")


def parse(text: str, columns: Mapping[str, set[str]]) -> dict[str, Any]:
    """A datasheet's JSON, checked against the tables' ``columns``. Raises RegistrationRefused for anything else.

    ``{"source", "legal_basis", "retention_until", "units": {"labs.bp": "mmHg"}, "keys": {"labs.person": "people.id"},
    "identifiers": {"people.name": "direct"}}``; every part may be left out.
    """
    try:
        raw = json.loads(text)
    except ValueError as broken:
        raise _refused("It is not JSON.") from broken
    if not isinstance(raw, dict) or set(raw) - {*TEXTS, "retention_until", "units", "keys", "identifiers"}:
        raise _refused("It has unknown words.")
    made: dict[str, Any] = {word: names.text(word, raw[word]) for word in TEXTS if word in raw}
    if "retention_until" in raw:
        made["retention_until"] = _day(raw["retention_until"])
    for part in ("units", "keys", "identifiers"):
        if part in raw:
            made[part] = _by_column(part, raw[part], columns)
    return made


def _by_column(part: str, given: Any, columns: Mapping[str, set[str]]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise _refused(f"{part} is not a list of columns.")
    for place, value in given.items():
        _check_place(place, columns)
        if part == "keys":
            _check_place(value, columns)
        elif part == "identifiers" and value not in ROLES:
            raise _refused(f"{place} is none of {', '.join(ROLES)}.")
        elif part == "units":
            names.text("unit", value)
    return {str(place): str(value) for place, value in sorted(given.items())}


def _check_place(place: Any, columns: Mapping[str, set[str]]) -> None:
    table, _, column = str(place).partition(".")
    if column not in columns.get(table, set()):
        raise _refused(f"There is no column {str(place)[:80]!a}.")


def _day(value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as odd:
        raise _refused("retention_until is not a date.") from odd


def _refused(why: str) -> RegistrationRefused:
    return RegistrationRefused(
        "The datasheet was refused.",
        why=why,
        do="See the page on bringing in a dataset; columns are written TABLE.COLUMN.",
    )
