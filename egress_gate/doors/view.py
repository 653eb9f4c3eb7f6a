"""What a project's view lets a browser see: how much (`Allowance`, from policy), and what has been seen (`Budget`)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOUR, DAY = 3600.0, 86400.0
UNLIMITED = 0
Spent = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Allowance:
    """Budgets of a view. 0 is without a limit, as policy writes it; a missing number is no allowance at all."""

    bytes_per_hour: int
    bytes_per_day: int
    cells_per_hour: int
    images_per_hour: int
    output_bytes: int

    @classmethod
    def of(cls, limits: Any) -> Allowance | None:
        """From policy's answer; None when a number is missing or is not one."""
        names = ("bytes_per_hour", "bytes_per_day", "cells_per_hour", "images_per_hour", "output_bytes")
        if not isinstance(limits, dict):
            return None
        numbers = [limits.get(name) for name in names]
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in numbers):
            return None
        return cls(*numbers)  # type: ignore[arg-type]  # each was just found to be an int


OPEN = Allowance(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED)
NOTHING = Allowance(1, 1, 1, 1, 1)  # policy's numbers could not be had: nothing but notices


class Window:
    """A sum over the last ``seconds``, in slots, so that its size does not grow with what it counts."""

    def __init__(self, seconds: float, slots: int = 60) -> None:
        self._width = seconds / slots
        self._slots = slots
        self._kept: deque[tuple[int, int]] = deque()
        self._sum = 0

    def add(self, now: float, amount: int) -> None:
        slot = int(now / self._width)
        self._drop(slot)
        self._sum += amount
        if self._kept and self._kept[-1][0] == slot:
            self._kept[-1] = (slot, self._kept[-1][1] + amount)
        else:
            self._kept.append((slot, amount))

    def total(self, now: float) -> int:
        self._drop(int(now / self._width))
        return self._sum

    def _drop(self, slot: int) -> None:
        while self._kept and self._kept[0][0] <= slot - self._slots:
            self._sum -= self._kept.popleft()[1]


class Budget:
    """What one person was shown of one project, whichever tab or sandbox showed it."""

    def __init__(
        self,
        allowance: Allowance,
        clock: Callable[[], float] = time.time,
        spent: Spent = lambda size, cells, images: None,
    ) -> None:
        self.allowance = allowance
        self._clock = clock
        self._spent = spent
        self._hour, self._day = Window(HOUR), Window(DAY, 96)
        self._cells, self._images = Window(HOUR), Window(HOUR)

    def spend(self, size: int, *, cells: int = 0, images: int = 0) -> str | None:
        """Count it when it fits; else say which budget is spent and count nothing."""
        now, most = self._clock(), self.allowance
        checks = (
            (most.bytes_per_hour, self._hour, size, "this hour's budget of shown bytes is spent"),
            (most.bytes_per_day, self._day, size, "today's budget of shown bytes is spent"),
            (most.cells_per_hour, self._cells, cells, "this hour's budget of shown outputs is spent"),
            (most.images_per_hour, self._images, images, "this hour's budget of images is spent"),
        )
        for limit, window, amount, reason in checks:
            if limit and amount and window.total(now) + amount > limit:
                return reason
        self.restore(now, size, cells=cells, images=images)
        self._spent(size, cells, images)
        return None

    def restore(self, at: float, size: int, *, cells: int = 0, images: int = 0) -> None:
        """Count what was shown at ``at``; also used to take up the trail after a restart."""
        for window, amount in ((self._hour, size), (self._day, size), (self._cells, cells), (self._images, images)):
            if amount:
                window.add(at, amount)
