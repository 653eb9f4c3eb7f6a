"""Contributions of people who have several rows: added up to one number for each person and cell before anything is compared. For
where `crowds` cannot say it faster.

People who appear in one finest cell only are the same in every margin, so that their cells are added up; the others are added up
again for each margin.
"""

from __future__ import annotations

from sqlglot import exp

from egress_gate.disclosure.derivation import Aggregate, Derivation
from egress_gate.disclosure.rollup import (
    MAGNITUDES,
    Cells,
    joined_on,
    key_names,
    left_out,
    merged_largest,
    sets_of,
    tops_wanted,
)


def by_unit(derivation: Derivation, unit: exp.Column, number: int) -> tuple[str, ...]:
    """Statements that make ``people{number}`` from the rows and from the finest cells (``cells``)."""
    made = [_units(derivation, unit, number)]
    sets, finest = sets_of(derivation), key_names(derivation)
    margins = [one for one in sets if one != finest]
    tables = []
    if finest in sets:
        who = ", ".join(_who(derivation))
        made.append(f"CREATE TEMP TABLE finest{number} AS SELECT code, {who} FROM units{number} GROUP BY code")  # noqa: S608
        tables.append(_named(derivation, finest, f"finest{number}", "code"))
    if margins:
        made += _places(number, margins)
        made += _alone(derivation, number)
        tables += [
            _named(derivation, one, f"({_margin(derivation, number, at)})", "place") for at, one in enumerate(margins)
        ]
    for at, text in enumerate(tables):
        made.append(f"CREATE TEMP TABLE people{number} AS {text}" if at == 0 else f"INSERT INTO people{number} {text}")
    return tuple(made)


def _units(derivation: Derivation, unit: exp.Column, number: int) -> str:
    """One row for each person and finest cell: rows, and for each measure what it comes to (``s``), of how many rows (``c``)."""
    keys = key_names(derivation)
    shown = ["c.code AS code" if keys else "CAST(1 AS BIGINT) AS code", "b.u AS u", "count(*) AS r"]
    for at, one in enumerate(derivation.aggregates):
        if one.func in MAGNITUDES:
            shown += [f"sum(b.m{at}) AS s{at}", f"count(b.m{at}) AS c{at}"]
            shown += [f"count(*) FILTER (WHERE {left_out(f'b.m{at}', one)}) AS o{at}"] if one.chooses else []
        elif not _bare(one):
            shown.append(f"count(b.m{at}) AS c{at}")
    joined = f" JOIN cells c ON {joined_on(derivation, 'b', 'c')}" if keys else ""
    group = " GROUP BY c.code, b.u" if keys else " GROUP BY b.u"
    base = Cells(derivation, unit=unit).base()
    return (
        f"CREATE TEMP TABLE units{number} AS WITH base AS ({base}) SELECT {', '.join(shown)} FROM base b{joined}{group}"  # noqa: S608
    )


def _places(number: int, sets: list[list[str]]) -> list[str]:
    """For each finest cell, the cell that stands for it in each margin."""
    shown = [
        f"min(code) OVER ({'PARTITION BY ' + ', '.join(one) if one else ''}) AS p{at}" for at, one in enumerate(sets)
    ]
    return [f"CREATE TEMP TABLE places{number} AS SELECT code, {', '.join(shown)} FROM cells"]  # noqa: S608 - our own names


def _alone(derivation: Derivation, number: int) -> list[str]:
    """Cells of those who are in one finest cell; only the others stay in ``units``."""
    units, many = f"units{number}", f"many{number}"
    who = ", ".join(_who(derivation))
    elsewhere = f"EXISTS (SELECT 1 FROM {many} m WHERE m.u IS NOT DISTINCT FROM {units}.u)"  # noqa: S608 - our own names
    return [
        f"CREATE TEMP TABLE {many} AS SELECT u FROM {units} GROUP BY u HAVING count(*) > 1",  # noqa: S608
        f"CREATE TEMP TABLE alone{number} AS SELECT code, {who} FROM {units} WHERE NOT {elsewhere} GROUP BY code",  # noqa: S608
        f"CREATE TEMP TABLE several{number} AS SELECT * FROM {units} WHERE {elsewhere}",  # noqa: S608
        f"DROP TABLE {units}",
    ]


def _margin(derivation: Derivation, number: int, at: int) -> str:
    """Who stands behind each cell of one margin, by its place."""
    parts = [f"sum({name}) AS {name}" for name in _columns(derivation)]
    joined = f"several{number} JOIN places{number} p USING (code)"
    again = f"SELECT p.p{at} AS place, u, {', '.join(parts)} FROM {joined} GROUP BY p.p{at}, u"  # noqa: S608 - our own names
    names = ["n_rows", "units", *(f"{letter}_{i}" for i in range(len(derivation.aggregates)) for letter in "untxzl")]
    wanted = {f"x_{i}" for i, one in enumerate(derivation.aggregates) if tops_wanted(one, derivation)}
    summed = [f"{_merged(n, n in wanted)} AS {n}" for n in names]
    return (
        f"SELECT place, {', '.join(summed)} FROM ("  # noqa: S608 - our own names
        f"SELECT p.p{at} AS place, a.* EXCLUDE (code) FROM alone{number} a JOIN places{number} p USING (code) UNION ALL "
        f"SELECT place, {', '.join(_who(derivation))} FROM ({again}) GROUP BY place) GROUP BY place"
    )


def _merged(name: str, largest: bool) -> str:
    if name.startswith("x_"):
        return merged_largest(name) if largest else "NULL"
    return f"sum({name})"


def _named(derivation: Derivation, chosen: list[str], table: str, place: str) -> str:
    """Rows as the plan promises them: keys, bits, rows, units, and six figures for each aggregate."""
    keys = key_names(derivation)
    shown = [f"c.{k}" if k in chosen else f"CASE WHEN false THEN c.{k} END AS {k}" for k in keys]
    shown += [f"{0 if k in chosen else 1} AS g_{k}" for k in keys]
    shown += [f"CAST(t.{name} AS BIGINT) AS {name}" for name in ("n_rows", "units")]
    for at in range(len(derivation.aggregates)):
        shown += [f"t.{letter}_{at}" for letter in "untxzl"]
    joined = f" JOIN cells c ON c.code = t.{place}" if keys else ""
    return f"SELECT {', '.join(shown)} FROM {table} t{joined}"  # noqa: S608 - our own names


def _bare(one: Aggregate) -> bool:
    """count(*): every row counts."""
    return one.func == "count" and one.argument is None and one.where is None


def _columns(derivation: Derivation) -> list[str]:
    """What `units` holds beside code and unit."""
    made = ["r"]
    for at, one in enumerate(derivation.aggregates):
        if one.func in MAGNITUDES:
            made += [f"s{at}", f"c{at}", *([f"o{at}"] if one.chooses else [])]
        elif not _bare(one):
            made.append(f"c{at}")
    return made


def _who(derivation: Derivation) -> list[str]:
    """Over rows of `units`: rows, people, and for each aggregate the six figures."""
    made = ["sum(r) AS n_rows", "count(u) AS units"]
    for at, one in enumerate(derivation.aggregates):
        rows = "r" if _bare(one) else f"c{at}"
        number = f"s{at}" if one.func in MAGNITUDES else rows
        without = f"o{at}" if one.chooses and one.func in MAGNITUDES else f"r - {rows}"
        with_value = f"count(*) FILTER (WHERE {rows} > 0 AND u IS NOT NULL)"
        made += [
            f"{with_value} AS u_{at}",
            f"sum({rows}) AS n_{at}",
            f"sum(abs({number})) AS t_{at}",
            f"max(abs(CAST({number} AS DOUBLE)), 2) AS x_{at}" if tops_wanted(one, derivation) else f"NULL AS x_{at}",
            f"count(*) FILTER (WHERE {number} <> 0 AND u IS NOT NULL) AS z_{at}",
            f"count(*) FILTER (WHERE {without} > 0 AND u IS NOT NULL) AS l_{at}",
        ]
    return made
