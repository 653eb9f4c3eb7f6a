"""Proof by witnesses: many targets at once are pushed from the centre to the edge of the feasible tables."""

from __future__ import annotations

import numpy as np

from egress_gate.disclosure.audit.centre import Centre
from egress_gate.disclosure.audit.targets import Reached
from egress_gate.disclosure.linear import Floats, Ints, SecondsLeft

_FIRST_BATCH = 200
_TOGETHER = 16
_FARTHEST = 8.0


def push(centre: Centre, reached: Reached, left: SecondsLeft) -> int:
    """Moves in shrinking batches until all targets are covered or moves cover few more; the number of moves made."""
    reached.note(centre.point)
    chance = np.random.default_rng(11)
    size, moves = _FIRST_BATCH, 0
    waiting = reached.open()
    while len(waiting) and left() > 0:
        for start in range(0, len(waiting), size * _TOGETHER):
            if left() <= 0:
                return moves
            moves += _push_batches(centre, reached, waiting[start : start + size * _TOGETHER], size)
        still = reached.open()
        if size <= 3 and len(still) >= 0.7 * len(waiting):
            return moves
        if len(still) > 0.4 * len(waiting):
            size = max(1, size // 4)
        waiting = chance.permutation(still)
    return moves


def _push_batches(centre: Centre, reached: Reached, several: Ints, size: int) -> int:
    """One move per batch of `size` targets, the moves of several batches computed together."""
    wishes = []
    for is_open, sign in ((reached.open_high(), 1.0), (reached.open_low(), -1.0)):
        mine = several[is_open[several]]
        wishes += [_wish(centre, reached, mine[s : s + size], sign) for s in range(0, len(mine), size)]
    if not wishes:
        return 0
    moves = centre.move(np.stack(wishes, axis=1))
    for column in range(moves.shape[1]):
        witness = centre.follow(moves[:, column], _FARTHEST)
        if centre.holds(witness):
            reached.note(witness)
    return len(wishes)


def _wish(centre: Centre, reached: Reached, batch: Ints, sign: float) -> Floats:
    """Relative growth that would bring each target of the batch to its level, were nothing else in the way."""
    targets = reached.targets
    now = np.asarray(targets.sets[batch] @ centre.point)
    room = np.maximum(np.asarray(targets.sets[batch] @ centre.weight), 1e-9)
    goal = targets.high[batch] * 1.02 if sign > 0 else targets.low[batch]
    lift = np.clip(np.abs(goal - now) / room + 0.01, 0.05, 1e4)
    return np.asarray(sign * (targets.sets[batch].T @ lift))
