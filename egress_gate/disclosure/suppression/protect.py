"""Secondary suppression: hide further cells so that no primary cell can be bounded closer than its protection.

Order of work: a heuristic pattern (it protects, so there is always an answer); the linear phase, whose bound says how good that
is and whose choice guides a second heuristic; the integer search within the time left; and always the audit of what comes
out. The pattern's `safe` comes from that audit alone, never from the way the pattern was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from egress_gate.disclosure.linear import Bools, Floats, LinearTable, SecondsLeft, forever
from egress_gate.disclosure.suppression.attacker import Attacker, Needs, Reach, covered, needs_of
from egress_gate.disclosure.suppression.cuts import Cut, Separator, line_cuts
from egress_gate.disclosure.suppression.heuristic import grow
from egress_gate.disclosure.suppression.optimal import Master, Repair, close_relaxation, cost_of, search
from egress_gate.disclosure.suppression.solver import OutOfTime
from egress_gate.disclosure.suppression.targets import Target, targets_of
from egress_gate.disclosure.suppression.trimming import trim

RESERVE = 0.4  # of the time that is left when the relaxation begins


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which cells are hidden and what an attacker can still say of them.

    `intervals[i]` is the feasible interval of cell i in the table's units: for published cells the value twice; for hidden
    cells exact where `exact[i]`, else at least this wide. `unprotected`: primary cells that the audit could not show to be
    covered; empty means `safe`. `optimal`: no pattern costs less; `gap`: (cost - bound) / cost, at most.
    """

    suppressed: Bools
    primary: Bools
    intervals: Floats
    exact: Bools
    unprotected: tuple[int, ...]
    cost: float
    bound: float
    optimal: bool
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def safe(self) -> bool:
        return not self.unprotected

    @property
    def gap(self) -> float:
        return 0.0 if self.optimal or self.cost <= 0 else max(0.0, (self.cost - self.bound) / self.cost)

    @property
    def secondary(self) -> Bools:
        return self.suppressed & ~self.primary


@dataclass(frozen=True)
class Effort:
    """`left()`: seconds that remain for finding the pattern (any clock the caller injects). `search`: look for the optimum.
    `line_threshold`: hidden parts of a line must have that many contributors together. `exact_intervals`: solve every hidden
    cell's interval to the end as long as the audit's own time `audit_left()` lasts."""

    left: SecondsLeft = forever
    audit_left: SecondsLeft = forever
    search: bool = True
    line_threshold: int | None = None
    exact_intervals: bool = True


def protect(table: LinearTable, effort: Effort | None = None) -> Pattern:
    """The cheapest pattern that time allows, audited. Never raises for lack of time: then `optimal` is False."""
    how = effort or Effort()
    if not table.primary.any():
        return audit_pattern(table, table.hidden_anyway, how, bound=0.0, optimal=True)
    hidden, bound, optimal = _find(table, how)
    pattern = audit_pattern(table, hidden, how, bound=bound, optimal=optimal)
    if pattern.safe:
        return pattern
    everything = ~table.fixed
    fallback = audit_pattern(table, everything, how, bound=bound, optimal=False)
    return fallback if len(fallback.unprotected) < len(pattern.unprotected) else pattern


def _find(table: LinearTable, how: Effort) -> tuple[Bools, float, bool]:
    separator = Separator(table, targets_of(table))
    lines = [c for c in line_cuts(table, how.line_threshold) if len(c.cells)]
    needed = lines if how.line_threshold is not None else []
    everything = ~table.fixed
    try:
        hidden, lost = grow(separator, table.hidden_anyway, table.cost, needed, how.left)
    except OutOfTime:
        return everything, 0.0, False
    if not lost:
        hidden = trim(separator, hidden, needed, set(), how.left)
    if not how.search or lost:
        return hidden, 0.0, False
    return _improve(table, separator, lines, needed, hidden, how.left)


def _improve(
    table: LinearTable, separator: Separator, lines: list[Cut], needed: list[Cut], hidden: Bools, left: SecondsLeft
) -> tuple[Bools, float, bool]:
    possible = [c for c in lines if not table.fixed[c.cells].all()]
    master = Master(table, possible)
    relaxed = close_relaxation(master, separator, hidden, _part_of(left))
    if relaxed is None:
        return hidden, 0.0, False
    guided = _guided(table, separator, needed, relaxed.y, left)
    if guided is not None and cost_of(table, guided) < cost_of(table, hidden):
        hidden = guided
    if not relaxed.closed:
        return hidden, relaxed.bound, False
    repair = _Regrow(table, separator, needed, relaxed.y)
    found = search(master, separator, relaxed, hidden, repair, left)
    return found.hidden, found.bound, found.optimal


def _part_of(left: SecondsLeft) -> SecondsLeft:
    """A clock that ends early enough for a pattern to be made of what was found till then."""
    reserve = RESERVE * left()
    return left if math.isinf(reserve) else lambda: left() - reserve


def _guided(table: LinearTable, separator: Separator, needed: list[Cut], y: Floats, left: SecondsLeft) -> Bools | None:
    """The heuristic again, with what the relaxation chose made cheap."""
    return _Regrow(table, separator, needed, y)(table.hidden_anyway, left)


@dataclass(frozen=True, eq=False)
class _Regrow(Repair):
    table: LinearTable
    separator: Separator
    needed: list[Cut]
    y: Floats

    def __call__(self, chosen: Bools, left: SecondsLeft) -> Bools | None:
        weights = self.table.cost * (1 - 0.98 * self.y)
        try:
            hidden, lost = grow(self.separator, chosen | self.table.hidden_anyway, weights, self.needed, left)
        except OutOfTime:
            return None
        return None if lost else trim(self.separator, hidden, self.needed, set(), left)


def audit_pattern(
    table: LinearTable, hidden: Bools, effort: Effort | None = None, *, bound: float = 0.0, optimal: bool = False
) -> Pattern:
    """What an attacker can work out of a given pattern, lone contributors and lines included."""
    how = effort or Effort()
    needs = needs_of(table)
    reach = Attacker(table, hidden).reach(needs, how.audit_left)
    open_cells = set(np.flatnonzero(table.primary & ~(covered(reach, needs) & hidden)).tolist())
    open_cells |= _seen_by_insiders(table, hidden, how)
    open_cells |= _thin_lines(table, hidden, how.line_threshold)
    if how.exact_intervals:
        reach = _exact(table, hidden, needs, reach, how)
    return Pattern(
        suppressed=hidden.copy(),
        primary=table.primary.copy(),
        intervals=np.column_stack(
            [
                np.maximum(table.values - reach.below, table.lower_bound),
                np.minimum(table.values + reach.above, table.upper_bound),
            ]
        ),
        exact=reach.exact_below & reach.exact_above,
        unprotected=tuple(sorted(open_cells)),
        cost=cost_of(table, hidden),
        bound=bound,
        optimal=optimal,
    )


def _exact(table: LinearTable, hidden: Bools, needs: Needs, reach: Reach, how: Effort) -> Reach:
    if not hidden.any():
        return reach
    return Attacker(table, hidden).reach(needs, how.audit_left, exact=True)


def _seen_by_insiders(table: LinearTable, hidden: Bools, how: Effort) -> set[int]:
    """Primary cells that a lone contributor of another cell can bound too closely."""
    targets = [t for t in targets_of(table) if t.insider >= 0]
    if not targets:
        return set()
    found: set[int] = set()
    for insider in sorted({t.insider for t in targets}):
        mine: list[Target] = [t for t in targets if t.insider == insider]
        needs = Needs(np.zeros(table.size), np.zeros(table.size), np.zeros(table.size))
        for t in mine:
            (needs.above if t.sign > 0 else needs.below if t.sign < 0 else needs.width)[t.cell] = t.need
        reach = Attacker(table, hidden, np.array([insider])).reach(needs, how.audit_left)
        found |= set(np.flatnonzero(~covered(reach, needs)).tolist())
    return found


def _thin_lines(table: LinearTable, hidden: Bools, threshold: int | None) -> set[int]:
    """Primary cells in a line whose hidden parts add up to too few contributors."""
    if threshold is None:
        return set()
    thin: set[int] = set()
    for cut in line_cuts(table, threshold):
        if cut.coefficients[hidden[cut.cells]].sum() < 1 - 1e-9:
            thin |= {int(c) for c in cut.cells if table.primary[c]}
    return thin
