"""Time enters at the edges as an aware datetime and is stored as UTC text that sorts."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The only place that asks the machine for the time; everything inside takes it as an argument."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """``2026-11-23T22:35:00.123456Z``. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be evidence")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The inverse of `stamp`; a plain date means midnight UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
