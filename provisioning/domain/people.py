"""The user id of a person inside sandboxes: one each, for ever, so that a home is never another person's."""

from __future__ import annotations

FIRST_UID = 200_000
LAST_UID = 2_000_000_000


def next_uid(highest: int | None) -> int:
    """The number after the highest ever given. Raises ValueError when none is left."""
    uid = FIRST_UID if highest is None else max(highest + 1, FIRST_UID)
    if uid > LAST_UID:
        raise ValueError("no user id is left")
    return uid
