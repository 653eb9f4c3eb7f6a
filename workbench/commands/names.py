"""Arguments that several commands share, and how dates are written."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from workbench.errors import WorkbenchFault

By = Annotated[str, typer.Option("--by", help="The person in whose name this is done; the ledger says so.")]
Until = Annotated[
    str, typer.Option("--until", help="A date (2027-03-31, its whole day included) or days from now (90d).")
]


class Language(StrEnum):
    ENGLISH = "en"
    CHINESE = "zh"


def moment(text: str, at: datetime) -> datetime:
    """A date's end, or days from ``at``. Raises WorkbenchFault."""
    try:
        if text.endswith("d"):
            return at + timedelta(days=int(text[:-1]))
        return datetime.combine(datetime.fromisoformat(text).date(), time.min, UTC) + timedelta(days=1)
    except (ValueError, OverflowError) as unreadable:
        raise WorkbenchFault(
            f"{text[:40]!a} is not an end.",
            why="It is neither a date nor a number of days.",
            do="Write 2027-03-31 or 90d.",
        ) from unreadable
