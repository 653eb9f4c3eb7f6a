"""How far the engine is in what it runs, asked beside it while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

Progress = Callable[[str, float, int], None]
"""``progress(table, done, of)``: ``done`` of ``of`` tables are read, with the part of the present one as a fraction."""

_EVERY = 0.05  # seconds


@contextmanager
def told(
    engine: duckdb.DuckDBPyConnection, progress: Progress | None, table: str, number: int, of: int
) -> Iterator[None]:
    """Call ``progress`` now, and again as the engine advances in the block; never backwards, and 1.0 only by what follows."""
    if progress is None:
        yield
        return
    progress(table, float(number), of)
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(engine, progress, table, number, of, over), daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _watch(
    engine: duckdb.DuckDBPyConnection, progress: Progress, table: str, number: int, of: int, over: threading.Event
) -> None:
    furthest = 0.0
    while not over.wait(_EVERY):
        share = engine.query_progress() / 100  # below nothing while the engine does not know
        if furthest < share < 1:
            furthest = share
            progress(table, number + share, of)
