"""Two models from almost the same people: how many people's rows differ, as SQL of the gate's own.

The joint audit compares counts; two fits on sets that differ by a few people both ways have the same counts and still tell of these
few. So the sets themselves are compared, person by person: how many rows each has in both, and a digest of what these rows hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from egress_gate.disclosure.derivation import DIALECT, Derivation
from egress_gate.disclosure.regression.rows import OBSERVATIONS
from egress_gate.disclosure.sources import RowSource

_MODULUS = 1_000_000_007


def is_model(derivation: Derivation) -> bool:
    """Whether this is the table that the gate remembers of a regression."""
    return [a.name for a in derivation.aggregates] == [OBSERVATIONS]


def differing_units(new: Derivation, before: Derivation) -> str | None:
    """One number: the units whose rows are not the same in both. None when their units are of different kinds."""
    if _owner(new.source) != _owner(before.source):
        return None
    alike = _from(new.source) == _from(before.source)
    a, b = (_by_unit(d, digest=alike) for d in (new, before))
    return (
        f"WITH a AS ({a}), b AS ({b}) SELECT count(*) FILTER (WHERE a.n IS DISTINCT FROM b.n OR a.f IS DISTINCT FROM b.f) "  # noqa: S608
        "FROM a FULL JOIN b ON a.u = b.u"
    )


def comparisons(new: Derivation, earlier: Sequence[Derivation]) -> tuple[str, ...]:
    """A statement for each earlier model over the same kind of unit; equal ones once."""
    made = (differing_units(new, one) for one in earlier if is_model(one))
    return tuple(dict.fromkeys(statement for statement in made if statement is not None))


def _owner(source: RowSource) -> tuple[str, ...]:
    """Whose numbers the first unit is: a person's is the same in all tables of a dataset, a row's only in its own table."""
    unit = source.units()[0]
    relation = next(r for r in source.relations if r.alias == unit.table)
    table = relation.tables[0]
    return (table.dataset, table.unit) if table.unit else (table.dataset, table.name, "")


def _from(source: RowSource) -> str:
    return source.into(exp.Select().select("1")).sql(dialect=DIALECT)


def _by_unit(derivation: Derivation, *, digest: bool) -> str:
    unit = derivation.source.units()[0].sql(dialect=DIALECT)
    rows = ", ".join(exp.to_identifier(r.alias, quoted=True).sql(dialect=DIALECT) for r in derivation.source.relations)
    held = f"sum(hash({rows}) % {_MODULUS})" if digest else "0"
    inner = exp.Select().select(f"{unit} AS u", "count(*) AS n", f"{held} AS f", dialect=DIALECT)
    made = derivation.source.into(inner)
    if derivation.where is not None:
        made = made.where(derivation.where.copy(), copy=False)
    return f"{made.sql(dialect=DIALECT)} GROUP BY {unit}"
