"""The tables of one request, protected as one problem before each is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.judge import judge
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.tabulation import Tabulation
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.joint import Universe, grid_of
from egress_gate.service.ports import Question
from installation.fault import Fault

SECONDS = 10.0
_BROKEN = (Fault, ArithmeticError, LookupError, ValueError, TypeError, RuntimeError, MemoryError)
Keys = tuple[Mapping[str, Any], ...]


def protect_request(
    questions: Sequence[Question], universe: Universe, measure: Callable[[Derivation], Tabulation]
) -> Mapping[str, Keys]:
    """Keys to hide in each table. What cannot be read, measured or drawn is left out: it is judged alone, and jointly after.

    Raises RecomputerAway.
    """
    asked: list[tuple[str, Derivation]] = []
    for one in questions:
        try:
            asked.append((one.name, parse(one.sql, universe.catalogue)))
        except Fault:
            continue
    if not needs_linking([d for _, d in asked]):
        return {}
    rules = Parameters.read(questions[0].parameters)
    found: dict[str, Keys] = {}
    for group in _by_universe([d for _, d in asked]):
        try:
            found |= _protect([asked[i] for i in group], rules, universe, measure)
        except RecomputerAway:
            raise
        except _BROKEN:
            continue
    return found


def needs_linking(derivations: Sequence[Derivation]) -> bool:
    """Whether relations reach further than one table's own margins: several tables, or grouping sets that none refines."""
    if len(derivations) > 1:
        return True
    sets = [frozenset(one) for d in derivations for one in d.grouping_sets]
    finest: frozenset[str] = max(sets, key=len, default=frozenset())
    return any(not one <= finest for one in sets)


def _by_universe(derivations: Sequence[Derivation]) -> list[tuple[int, ...]]:
    from egress_gate.disclosure.atoms import plan_atoms

    try:
        return [plan.releases for plan in plan_atoms(derivations)]
    except _BROKEN:
        return []


def _protect(
    asked: Sequence[tuple[str, Derivation]],
    rules: Parameters,
    universe: Universe,
    measure: Callable[[Derivation], Tabulation],
) -> dict[str, Keys]:
    from egress_gate.disclosure.atoms import plan_atoms
    from egress_gate.disclosure.drawing import draw
    from egress_gate.disclosure.linking import protect_together
    from egress_gate.disclosure.protection import is_primary

    derivations = [d for _, d in asked]
    if not needs_linking(derivations):
        return {}
    cells = [judge(d, measure(d), rules, protect=False, left=lambda: 0.0).cells for d in derivations]
    if not any(is_primary(c.findings) for one in cells for c in one):
        return {}
    (plan,) = plan_atoms(derivations)
    tables = list(zip(range(len(cells)), derivations, cells, strict=True))
    drawing, numbers = draw(grid_of(plan, universe), tables, rules)
    end = universe.clock() + SECONDS
    answer = protect_together(drawing, lambda: max(0.0, end - universe.clock()))
    return {
        name: tuple(table[at[i]].cell.published_key for i in sorted(hidden))
        for (name, _), table, at, hidden in zip(asked, cells, numbers, answer.hidden, strict=True)
    }
