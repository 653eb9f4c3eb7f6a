"""People who have several rows and stand in several cells, without adding each of them up for every margin.

Rows, and what people contribute together, add up over cells where nobody's contributions have two signs. Distinct people do not: each
finest cell has a bitmap of who is in it, and a margin's people are the bits of all its cells together. The two largest contributors
of a cell are looked for among few: whoever has less in the whole table than the second of two people has in single rows of the cell
cannot be one of them. Only the others are added up by cell. With long tails, which such rules are made for, few are left.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from egress_gate.disclosure.derivation import Aggregate, Derivation
from egress_gate.disclosure.rollup import MAGNITUDES, Cells, joined_on, key_names, left_out, sets_of, tops_wanted

MOST_BITS = 1 << 30  # of all bitmaps together
MOST_SUMS = 2_000_000  # rows that are added up for all margins in one statement
# Whoever is dropped must be smaller even where sums were rounded in another order.
SLACK = 1.000001


def persons(derivation: Derivation, unit: exp.Column, number: int) -> str:
    """Everybody's number (none for rows of nobody), what they contribute in all, and whether with two signs."""
    shown = ["u", "CASE WHEN u IS NOT NULL THEN CAST(row_number() OVER () AS INTEGER) END AS p"]
    mixed = ["false"]
    for at, _ in _tracked(derivation):
        shown.append(f"CAST(sum(abs(m{at})) AS DOUBLE) AS a{at}")
        mixed.append(f"coalesce(min(m{at}) < 0 AND max(m{at}) > 0, false)")
    shown.append(f"{' OR '.join(mixed)} AS mixed")
    base = Cells(derivation, unit=unit).base()
    return f"CREATE TEMP TABLE persons{number} AS WITH base AS ({base}) SELECT {', '.join(shown)} FROM base GROUP BY u"  # noqa: S608


def fits(derivation: Derivation, number: int) -> str:
    """Whether this way is open: nobody has contributions of two signs, and the bitmaps have room."""
    made = [f"CAST(sum({few}) < sum(n_rows) AS BIGINT)" for few in _fewer(derivation)]
    bits = f"SELECT count(*) * (1 + {' + '.join(made)})" if made else "SELECT count(*)"
    return f"SELECT NOT bool_or(mixed) AND max(p) * ({bits} FROM cells) <= {MOST_BITS} FROM persons{number}"  # noqa: S608


def _fewer(derivation: Derivation) -> Iterator[str]:
    """For each further bitmap the count of rows that makes it needless where it is that of all."""
    for at, one in enumerate(derivation.aggregates):
        if not _bare(one):
            yield f"n{at}"  # with a value
            yield f"z{at}" if one.func in MAGNITUDES and one.chooses else f"n{at}"  # left out
            if one.func in MAGNITUDES:
                yield f"z{at}"


def by_crowd(
    derivation: Derivation, unit: exp.Column, number: int
) -> tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]:
    """Statements that make ``people{number}`` from ``cells`` and ``persons{number}``: the first; a test whether the largest are few;
    how they are added up if so, at once, and otherwise, margin by margin; ``finish`` has the last."""
    first = [_crowd(derivation, unit, number), _places(derivation, number), _margins(derivation, number)]
    if not _tracked(derivation):
        return tuple(first), "SELECT true", (), ()
    first += [*_floors(derivation, number), _chosen(derivation, unit, number)]
    sets = range(len(sets_of(derivation)))
    few = f"SELECT count(*) * {len(sets)} <= {MOST_SUMS} FROM chosen{number}"  # noqa: S608 - our own names
    once = f"CREATE TEMP TABLE tops{number} AS {_tops(derivation, number)}"
    each = [_tops(derivation, number, one) for one in sets]
    made = [f"CREATE TEMP TABLE tops{number} AS {each[0]}", *(f"INSERT INTO tops{number} {one}" for one in each[1:])]
    return tuple(first), few, (once,), tuple(made)


def finish(derivation: Derivation, number: int) -> str:
    """``people{number}``, as the plan promises it."""
    sets = sets_of(derivation)
    shown, bits = [], []
    for key in key_names(derivation):
        without = ", ".join(str(at) for at, one in enumerate(sets) if key not in one)
        shown.append(f"CASE WHEN t.way NOT IN ({without}) THEN c.{key} END AS {key}" if without else f"c.{key}")
        bits.append(f"CASE WHEN t.way IN ({without}) THEN 1 ELSE 0 END AS g_{key}" if without else f"0 AS g_{key}")
    shown += [*bits, "t.n_rows", "t.units"]
    tracked = {at for at, _ in _tracked(derivation)}
    for at, one in enumerate(derivation.aggregates):
        shown += _figures(at, one, f"x.x{at}" if at in tracked else "NULL")
    tops = f" LEFT JOIN tops{number} x ON x.way = t.way AND x.place = t.place" if tracked else ""
    return (
        f"CREATE TEMP TABLE people{number} AS SELECT {', '.join(shown)} FROM margins{number} t "  # noqa: S608 - our own names
        f"JOIN cells c ON c.code = t.place{tops}"
    )


def _tracked(derivation: Derivation) -> list[tuple[int, Aggregate]]:
    return [(at, one) for at, one in enumerate(derivation.aggregates) if tops_wanted(one, derivation)]


def _bare(one: Aggregate) -> bool:
    return one.func == "count" and one.argument is None and one.where is None


def _masks(at: int, one: Aggregate) -> Iterator[tuple[str, str]]:
    """Bitmaps beside that of everybody, with the rows whose people they hold: with a value and with one that is not zero, made only
    in cells where these are not all; left out."""
    if _bare(one):
        return
    yield f"h{at}", f"m{at} IS NOT NULL AND c.n{at} < c.n_rows"
    if one.func in MAGNITUDES:
        yield f"z{at}", f"m{at} <> 0 AND c.z{at} < c.n_rows"
    yield f"l{at}", left_out(f"m{at}", one) if one.func in MAGNITUDES else f"m{at} IS NULL"


def _rows(derivation: Derivation, unit: exp.Column, number: int, cells: str) -> str:
    """Every row with its finest cell and its person."""
    return f"base b JOIN {cells} c ON {joined_on(derivation, 'b', 'c')} JOIN persons{number} q ON b.u IS NOT DISTINCT FROM q.u"


def _crowd(derivation: Derivation, unit: exp.Column, number: int) -> str:
    """For each finest cell the bitmaps, and its two largest rows with whose they are (0: nobody's)."""
    shown = ["c.code AS code", "bitstring_agg(q.p) AS everybody"]
    for at, one in enumerate(derivation.aggregates):
        shown += [f"bitstring_agg(q.p) FILTER (WHERE {rows}) AS {name}" for name, rows in _masks(at, one)]
    for at, _ in _tracked(derivation):
        shown += [f"max(abs(m{at}), 2) AS v{at}", f"arg_max(coalesce(q.p, 0), abs(m{at}), 2) AS q{at}"]
    base = Cells(derivation, unit=unit).base()
    return (
        f"CREATE TEMP TABLE crowd{number} AS WITH base AS ({base}) SELECT {', '.join(shown)} "  # noqa: S608
        f"FROM {_rows(derivation, unit, number, 'cells')} GROUP BY c.code"
    )


def _places(derivation: Derivation, number: int) -> str:
    """For each grouping set (``way``) and finest cell, the one that stands for its cell there (``place``)."""
    parts = [
        f"SELECT {at} AS way, code, min(code) OVER ({'PARTITION BY ' + ', '.join(one) if one else ''}) AS place FROM cells"  # noqa: S608 - our own names
        for at, one in enumerate(sets_of(derivation))
    ]
    return f"CREATE TEMP TABLE places{number} AS {' UNION ALL '.join(parts)}"


def _margins(derivation: Derivation, number: int) -> str:
    """What adds up, and whose bits are set. A bitmap is put together only where it differs from everybody's."""
    added, people = ["CAST(sum(c.n_rows) AS BIGINT) AS n_rows"], ["bit_count(bit_or(w.everybody)) AS units"]
    for at, one in enumerate(derivation.aggregates):
        if _bare(one):
            continue
        added += [f"CAST(sum(c.n{at}) AS BIGINT) AS n{at}", f"sum(c.n{at}) < sum(c.n_rows) AS missing{at}"]
        if one.func in MAGNITUDES:
            added += [f"sum(c.t{at}) AS t{at}", f"sum(c.z{at}) < sum(c.n_rows) AS zeros{at}"]
            people.append(f"{_bits(f'zeros{at}', f'c.z{at} = c.n_rows', f'w.z{at}')} AS nonzero{at}")
        people.append(f"{_bits(f'missing{at}', f'c.n{at} = c.n_rows', f'w.h{at}')} AS having{at}")
        people.append(f"coalesce(bit_count(bit_or(w.l{at})), 0) AS left{at}")
    return (
        f"CREATE TEMP TABLE margins{number} AS WITH added AS (SELECT way, place, {', '.join(added)} "  # noqa: S608 - our own names
        f"FROM places{number} JOIN cells c USING (code) GROUP BY way, place), "
        f"people AS (SELECT p.way AS way, p.place AS place, {', '.join(people)} "
        f"FROM places{number} p JOIN cells c USING (code) JOIN crowd{number} w USING (code) "
        "JOIN added m ON m.way = p.way AND m.place = p.place GROUP BY p.way, p.place) "
        "SELECT * FROM added JOIN people USING (way, place)"
    )


def _bits(differs: str, whole: str, mask: str) -> str:
    return f"coalesce(bit_count(bit_or(CASE WHEN m.{differs} THEN CASE WHEN {whole} THEN w.everybody ELSE {mask} END END)), 0)"


def _floors(derivation: Derivation, number: int) -> Iterator[str]:
    """For each finest cell what a person must have in all, at least, to be one of two largest in it or in a margin over it."""
    shown, joins = [], []
    for at, _ in _tracked(derivation):
        yield (
            f"CREATE TEMP TABLE second{number}_{at} AS SELECT way, place, max(v, 2)[2] AS floor FROM ("  # noqa: S608 - our own names
            f"SELECT way, place, q, max(v) AS v FROM places{number} JOIN ("
            f"SELECT code, unnest(v{at}) AS v, unnest(q{at}) AS q FROM crowd{number}) USING (code) "
            "GROUP BY way, place, q) GROUP BY way, place"
        )
        shown.append(f"min(coalesce(s{at}.floor, 0)) AS f{at}")
        joins.append(f"LEFT JOIN second{number}_{at} s{at} ON s{at}.way = p.way AND s{at}.place = p.place")
    keys = key_names(derivation)
    named = "".join(f"c.{k} AS {k}, " for k in keys)
    yield (
        f"CREATE TEMP TABLE floors{number} AS SELECT {named}c.code AS code, {', '.join(shown)} "  # noqa: S608
        f"FROM places{number} p JOIN cells c USING (code) {' '.join(joins)} GROUP BY {''.join(f'c.{k}, ' for k in keys)}c.code"
    )


def _chosen(derivation: Derivation, unit: exp.Column, number: int) -> str:
    """What those who may be among the largest contribute to each finest cell."""
    tracked = [at for at, _ in _tracked(derivation)]
    sums = ", ".join(f"CAST(sum(m{at}) AS DOUBLE) AS s{at}" for at in tracked)
    # The row stands in the comparison so that people and cells are never joined to each other alone.
    large = " OR ".join(f"(q.a{at} > 0 AND if(b.m{at} <> 0, q.a{at} * {SLACK}, 0) >= c.f{at})" for at in tracked)
    base = Cells(derivation, unit=unit).base()
    return (
        f"CREATE TEMP TABLE chosen{number} AS WITH base AS ({base}) SELECT c.code AS code, q.p AS p, {sums} "  # noqa: S608
        f"FROM {_rows(derivation, unit, number, f'floors{number}')} WHERE {large} GROUP BY c.code, q.p"
    )


def _tops(derivation: Derivation, number: int, at: int | None = None) -> str:
    """The two largest contributions to each cell of all grouping sets, or of one."""
    tracked = [number_ for number_, _ in _tracked(derivation)]
    sums = ", ".join(f"sum(s{one}) AS s{one}" for one in tracked)
    tops = ", ".join(f"max(abs(s{one}), 2) AS x{one}" for one in tracked)
    here = "" if at is None else f" WHERE way = {at}"
    return (
        f"SELECT way, place, {tops} FROM (SELECT way, place, p, {sums} FROM chosen{number} JOIN places{number} USING (code)"  # noqa: S608
        f"{here} GROUP BY way, place, p) GROUP BY way, place"
    )


def _figures(at: int, one: Aggregate, largest: str) -> list[str]:
    if _bare(one):
        return ["t.units", "t.n_rows", "t.n_rows", largest, "t.units", "0"]
    having = f"CASE WHEN t.missing{at} THEN t.having{at} ELSE t.units END"
    if one.func not in MAGNITUDES:
        return [having, f"t.n{at}", f"t.n{at}", largest, having, f"t.left{at}"]
    nonzero = f"CASE WHEN t.zeros{at} THEN t.nonzero{at} ELSE t.units END"
    return [having, f"t.n{at}", f"t.t{at}", largest, nonzero, f"t.left{at}"]
