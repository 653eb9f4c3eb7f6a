"""The SQL that measures: for each cell its rows, its distinct privacy units, and what each unit contributes to each measure.

Contributions are first summed to one number for each unit and cell, so that a person with forty laboratory values is one
contributor with one contribution; joins that multiply rows multiply nothing here. Contributions are absolute (ABS, DataLab output rules),
so that a negative value cannot hide dominance. Where a row may belong to several units (several datasets joined), each kind of
unit is measured by itself and the rules take the worst.

The rows are read once, into the finest cells; margins are added up from these. Where the data show that no unit has two rows, a row is
a person and the cells already hold every contribution (`rollup`). Otherwise people are told apart by bitmaps, and only those who may be
among the largest are added up (`crowds`); where that cannot be done, everybody is (`contributions`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from egress_gate.disclosure.catalogue import ROW
from egress_gate.disclosure.contributions import by_unit
from egress_gate.disclosure.crowds import by_crowd, finish, fits, persons
from egress_gate.disclosure.derivation import DIALECT, Derivation
from egress_gate.disclosure.rollup import Cells, key_names, measured_rows, rarer_people, rarer_values, rolled_values

INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})


@dataclass(frozen=True)
class Step:
    """Statements that make temporary tables: ``then`` where the tests prove it, else ``otherwise``.

    Each test is a query of one yes, no or NULL (unknown); the first that knows decides. Without tests ``then`` is right.
    """

    then: tuple[str | Step, ...]
    otherwise: tuple[str | Step, ...] = ()
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """``values`` computes the table, ``statistics`` one query for each kind of privacy unit, after ``steps``, and a last one for the
    rarer of two values where something is averaged. Columns by position:

    values: keys, ``g`` bits (1: totalled over), aggregates. statistics: keys, bits, rows, units, then for each aggregate: units with a
    value, non-missing rows, total of absolute contributions, list of the two largest (NULL of a count that no rule asks it of), units
    with another contribution than zero, units that a condition inside the aggregate leaves out with some row (0 where it has none).
    """

    values: str
    statistics: tuple[str, ...]
    steps: tuple[Step, ...] = ()


def plan(derivation: Derivation) -> Plan:
    """Both kinds of statement for ``derivation``, regenerated from its parts."""
    units = derivation.source.units()
    rolled = rolled_values(derivation, "cells")
    values = rolled or derivation.select(hidden=True).sql(dialect=DIALECT)
    both = Cells(derivation, values=rolled is not None, rows=True)
    steps = [Step((both.create("cells"),)), *(_kind(derivation, unit, number) for number, unit in enumerate(units))]
    statistics = [f"SELECT * FROM people{n}" for n in range(len(units))]  # noqa: S608 - our own names
    made = _rarer(derivation, units)
    if not made:
        return Plan(values, tuple(statistics), tuple(steps))
    everywhere = " UNION ALL ".join(f"SELECT * FROM rarer{n}" for n in range(len(made)))  # noqa: S608 - our own names
    fewest = [f"min(r{n})" for n in range(len(derivation.aggregates))]
    place = [*key_names(derivation), *(f"g_{k}" for k in key_names(derivation))]
    by_cell = f" GROUP BY {', '.join(place)}" if place else ""
    rarer = f"SELECT {', '.join([*place, *fewest])} FROM ({everywhere}){by_cell}"  # noqa: S608 - our own names
    return Plan(values, (*statistics, rarer), (*steps, *made))


def _rarer(derivation: Derivation, units: list[exp.Column]) -> list[Step]:
    """How many have the rarer of two values, for each kind of unit: rows where each row of a cell is another's, else units."""
    steps = []
    for number, unit in enumerate(units):
        both = rarer_values(derivation, "cells", f"rarer{number}")
        if both is None:
            return []
        rows, none = both
        if _certain(derivation):
            steps.append(Step((rows,)))
            continue
        # ``people``: what `_kind` made; a test that does not know (NULL) leaves it to the next, and none knowing means units.
        alone = f"SELECT bool_and(n_rows = units) FROM people{number}"  # noqa: S608 - our own names
        never = none.replace("SELECT ", "SELECT CASE WHEN ", 1).replace(" FROM ", " THEN true END FROM ", 1)
        steps.append(Step((rows,), (rarer_people(derivation, "cells", unit, f"rarer{number}"),), (never, alone)))
    return steps


def _kind(derivation: Derivation, unit: exp.Column, number: int) -> Step:
    """Who stands behind the cells, for one kind of unit."""
    rows = (measured_rows(derivation, "cells", f"people{number}"),)
    if _certain(derivation):
        return Step(rows)
    first, few, once, each = by_crowd(derivation, unit, number)
    crowds = Step(
        (*first, Step(once, each, (few,)), finish(derivation, number)),
        by_unit(derivation, unit, number),
        (fits(derivation, number),),
    )
    return Step(rows, (persons(derivation, unit, number), crowds), _tests(derivation, unit))


def _certain(derivation: Derivation) -> bool:
    """Each row is its own unit by definition, and nothing has multiplied the rows."""
    relations = derivation.source.relations
    joined = len(relations) > 1 or any(r.expression.find(exp.Join) is not None for r in relations)
    return not joined and all(t.unit is None for t in derivation.tables)


def _tests(derivation: Derivation, unit: exp.Column) -> tuple[str, ...]:
    """Whether no unit has two of the rows. Counting by bits is exact and cheap, but cannot be done with every column."""
    rows = Cells(derivation, unit=unit).base(measures=False)
    own = next((t for t in derivation.tables if t.unit == unit.name), None)
    tests = [
        "SELECT CASE WHEN count(u) < count(*) OR approx_count_distinct(u) < 0.8 * count(u) THEN false END",
        "SELECT count(u) = count(DISTINCT u)",
    ]
    if unit.name != ROW and own is not None and own.columns[unit.name].upper() in INTEGERS:
        tests.insert(0, "SELECT count(u) = count(*) AND count(u) = bit_count(bitstring_agg(u))")
    return tuple(f"{test} FROM ({rows})" for test in tests)
