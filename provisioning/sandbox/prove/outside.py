"""What is checked from outside while and after the adversary has tried everything."""

from __future__ import annotations

import hashlib
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provisioning.sandbox.keeper import Opened
from provisioning.sandbox.prove.throwaway import Stage

LOG_LIMIT = 2 * 1024**2 + 65536
Check = dict[str, Any]


def checked(name: str, expected: str, observed: str, holds: bool | None = None) -> Check:
    held = expected == observed if holds is None else holds
    return {"id": name, "expected": expected, "observed": observed, "holds": held}


def proof_checks(stage: Stage, opened: Opened) -> Iterator[Check]:
    """The proof of the start, made again after everything was tried: nothing may have moved."""
    for fact in stage.keeper.prove(opened).facts:
        yield checked(f"after: {fact.name}", fact.expected, fact.observed)


def log_check(stage: Stage, opened: Opened) -> Check:
    path = str(stage.client.api.inspect_container(opened.container)["LogPath"])
    said = stage.keeper.privilege.shell(f"cat {path!r}* | wc -c").strip()
    return checked(
        "log size on the host", f"at most {LOG_LIMIT} bytes", said, said.isdigit() and int(said) <= LOG_LIMIT
    )


def dataset_digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


class Neighbour:
    """Knocks at the neighbour's notebook server all the while, and says how it answered."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._knock_on, daemon=True)
        self.answers: list[float | None] = []
        self.idle = [self._stage.knocker.knock(stage.neighbour.sandbox_id) for _ in range(10)]

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def knock(self) -> None:
        self.answers.append(self._stage.knocker.knock(self._stage.neighbour.sandbox_id))

    def _knock_on(self) -> None:
        while not self._stop.wait(0.25):
            self.knock()

    def check(self) -> Check:
        times = [answer for answer in self.answers if answer is not None]
        idle = statistics.median([answer for answer in self.idle if answer is not None] or [0.0])
        said = (
            f"{len(times)} of {len(self.answers)} knocks answered, median {statistics.median(times) * 1000:.1f} ms"
            f" (idle {idle * 1000:.1f} ms), slowest {max(times) * 1000:.0f} ms"
            if times
            else "no answer"
        )
        return checked("the neighbour keeps answering", "every knock", said, bool(times) and None not in self.answers)
