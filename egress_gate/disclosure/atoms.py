"""From derivations to atoms: the logical grid on which every release over one universe of rows can be drawn.

Each attribute is coarsened to the classes that the releases distinguish; the classes are crossed, so that points which hold no
record are there too (the attacker does not know that they are empty); every filter and key is evaluated once on the points. The
SQL is emitted here and run elsewhere; this module is pure. Combinations that contradict a hierarchy seen in the data (a county
lies in one region only) are left out: everybody knows that they are empty.

Order of use: `plan_atoms(derivations)` gives one `AtomPlan` per universe; run its `statements`; `read_atoms(plan, rows)` gives `Grid`;
`grid.published(...)` draws a release on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sqlglot import exp

from egress_gate.disclosure.audit.published import COUNT, Atoms, Layer, Measure, PublishedTable
from egress_gate.disclosure.derivation import DIALECT, Aggregate, Derivation
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.flatten import Flat, flatten
from egress_gate.disclosure.linear import Floats, Ints
from egress_gate.disclosure.people import MOST_PROFILES, PEOPLE, ROWS, Counted, Profiles, read_profiles
from egress_gate.disclosure.placing import Places, published
from egress_gate.disclosure.quantities import Quantity, quantity_of

LARGEST_GRID = 150_000
_FIGURES = 6  # of each measure in an answer of the records
_ALWAYS = exp.true()


@dataclass(frozen=True, eq=False)
class Slice:
    """One evaluation of a release on the grid: its rows (WHERE, and an aggregate's own FILTER) and keys. `counts`: whether it
    publishes how many ROWS, PEOPLE or both these are. `factor`: what the quantity is multiplied by where it is published."""

    release: int
    quantity: str
    where: exp.Expr
    keys: tuple[exp.Expr, ...]
    exact: bool
    counts: frozenset[str] = frozenset()
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class AtomPlan:
    """`statements` in order: points with one code per slice, records per point, the profiles of people with several rows, then the keys
    of each slice's codes."""

    releases: tuple[int, ...]
    derivations: tuple[Derivation, ...]
    slices: tuple[Slice, ...]
    columns: tuple[str, ...]
    measures: tuple[str, ...]
    statements: tuple[str, ...]


def plan_atoms(derivations: Sequence[Derivation]) -> list[AtomPlan]:
    """One plan for each universe of rows (FROM clause); releases over the same universe are audited together."""
    flats = [flatten(d) for d in derivations]
    universes: dict[str, list[int]] = {}
    for number, flat in enumerate(flats):
        universes.setdefault(flat.universe, []).append(number)
    return [_plan(numbers, derivations, flats) for numbers in universes.values()]


def _plan(numbers: list[int], derivations: Sequence[Derivation], flats: Sequence[Flat]) -> AtomPlan:
    slices = [s for n in numbers for s in _slices(n, flats[n])]
    measures = tuple(dict.fromkeys(s.quantity for s in slices if s.quantity != COUNT))
    conditions = [e for s in slices for e in (s.where, *s.keys)]
    parts = _parts(conditions)
    columns = tuple(sorted(parts))
    shared = _with(flats[numbers[0]], columns, parts, slices)
    statements = [_points(shared, columns, slices)]
    statements += [_records(shared, flats[numbers[0]], columns, parts, measures)]
    statements += [_profiles(shared, flats[numbers[0]], columns, parts)]
    statements += [_codes(shared, number, s) for number, s in enumerate(slices)]
    picked = tuple(derivations[n] for n in numbers)
    return AtomPlan(tuple(numbers), picked, tuple(slices), columns, measures, tuple(statements))


def _slices(number: int, flat: Flat) -> list[Slice]:
    """What a release publishes: counts as they are, sums and means by measure, and the presence of its groups.

    A statistic that is not additive (a median, a deviation) is taken as if its count were published: two such figures over
    sets that differ by few records are as telling as two counts.
    """
    found: dict[tuple[str, str], Slice] = {}

    def add(quantity: Quantity, where: exp.Expr, counts: frozenset[str]) -> None:
        rows = _and(where, quantity.where) if quantity.where is not None else where
        place = (quantity.name, rows.sql(dialect=DIALECT))
        made = Slice(number, quantity.name, rows, flat.keys, exact=True, factor=quantity.factor)
        before = found.setdefault(place, made)
        found[place] = replace(before, counts=before.counts | counts, factor=_finer(before.factor, quantity.factor))

    for one in flat.aggregates:
        where = _and(flat.where, _own_filter(one))
        of_sum = quantity_of(one.argument) if one.argument is not None and one.func != "count" else Quantity(COUNT)
        if one.func in ("sum", "avg"):
            add(of_sum, where, frozenset({ROWS} if of_sum.name == COUNT else ()))
            continue
        add(Quantity(COUNT), where, frozenset({PEOPLE if one.of_unit else ROWS}))
        for told in (of_sum, quantity_of(one.second) if one.second is not None else None):
            if told is not None and told.name == COUNT and told.where is not None:
                add(told, where, frozenset({ROWS}))  # a deviation of an indicator tells how many it marks
    presence = (COUNT, flat.where.sql(dialect=DIALECT))
    found.setdefault(presence, Slice(number, COUNT, flat.where, flat.keys, exact=False))
    return list(found.values())


def _finer(one: float, other: float) -> float:
    """Of two multiples of a quantity that are rounded to one base, the one that tells more."""
    return max(one, other, key=abs)


def _own_filter(one: Aggregate) -> exp.Expr:
    condition = one.where.copy() if one.where is not None else _ALWAYS.copy()
    if one.argument is not None and one.func not in ("sum", "avg") and not one.of_unit:
        present = exp.Not(this=exp.Is(this=one.argument.copy(), expression=exp.Null()))
        return _and(condition, present)
    return condition


def _and(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    if isinstance(left, exp.Boolean) and left.this:
        return right
    if isinstance(right, exp.Boolean) and right.this:
        return left
    return exp.and_(left.copy(), right.copy())


def _parts(expressions: Iterable[exp.Expr]) -> dict[str, list[str]]:
    """Per column, the largest sub-expressions that depend on it alone: their values are all that a release can see of it."""
    parts: dict[str, dict[str, None]] = {}
    for expression in expressions:
        _collect(expression, parts)
    return {column: sorted(found) for column, found in parts.items()}


def _collect(node: exp.Expr, parts: dict[str, dict[str, None]]) -> None:
    columns = {c.sql(dialect=DIALECT) for c in node.find_all(exp.Column)}
    if len(columns) == 1 and isinstance(node, (exp.Condition, exp.Case, exp.Func)):
        parts.setdefault(columns.pop(), {})[node.sql(dialect=DIALECT)] = None
        return
    for child in node.iter_expressions():
        _collect(child, parts)


def _with(flat: Flat, columns: Sequence[str], parts: Mapping[str, list[str]], slices: Sequence[Slice]) -> str:
    """CTEs: `c0…` classes of each column with a representative, `seen` the points that hold records, `points` all of them,
    `marked` the points with a code for each slice."""
    made = []
    for i, column in enumerate(columns):
        shown = ", ".join(f"{part} AS e{j}" for j, part in enumerate(parts[column]))
        seen = f"SELECT DISTINCT {column} AS rep, {shown} FROM {flat.universe}"  # noqa: S608
        groups = ", ".join(f"e{j}" for j in range(len(parts[column])))
        made.append(
            f"c{i} AS MATERIALIZED (SELECT row_number() OVER (ORDER BY {groups}) - 1 AS i{i}, any_value(rep) AS r{i}, "  # noqa: S608 - regenerated by us
            f"bool_or(rep IS NULL) AND NOT bool_or(rep IS NOT NULL) AS z{i}, {groups} FROM ({seen}) GROUP BY {groups})"
        )
    numbers = ", ".join(f"i{i}" for i in range(len(columns)))
    made.append(_seen(flat, columns, parts))
    made.append(f"points AS MATERIALIZED ({_crossed(columns, numbers)})")
    made.append(f"marked AS MATERIALIZED ({_marked(columns, numbers, slices)})")
    return "WITH " + ", ".join(made)


def _seen(flat: Flat, columns: Sequence[str], parts: Mapping[str, list[str]]) -> str:
    numbers = ", ".join(f"c{i}.i{i}" for i in range(len(columns))) or "0 AS i0"
    return f"seen AS MATERIALIZED (SELECT DISTINCT {numbers} FROM {flat.universe}{_class_joins(columns, parts)})"  # noqa: S608


def _class_joins(columns: Sequence[str], parts: Mapping[str, list[str]]) -> str:
    joins = ""
    for i, column in enumerate(columns):
        same = " AND ".join(f"c{i}.e{j} IS NOT DISTINCT FROM ({part})" for j, part in enumerate(parts[column]))
        joins += f" JOIN c{i} ON {same}"
    return joins


def _crossed(columns: Sequence[str], numbers: str) -> str:
    if not columns:
        return "SELECT 0 AS i0"
    size = " * ".join(f"(SELECT count(*) FROM c{i})::HUGEINT" for i in range(len(columns)))  # noqa: S608
    crossed = ", ".join(f"c{i}" for i in range(len(columns)))
    return (
        f"SELECT {numbers} FROM seen UNION SELECT {numbers} FROM {crossed} "  # noqa: S608
        f"WHERE (SELECT {size}) <= {LARGEST_GRID}"
    )


def _marked(columns: Sequence[str], numbers: str, slices: Sequence[Slice]) -> str:
    numbers = numbers or "i0"
    codes = []
    for number, s in enumerate(slices):
        where = _on_points(s.where, columns)
        keys = [_on_points(key, columns) for key in s.keys]
        order = f" ORDER BY {', '.join(keys)}" if keys else " ORDER BY 1"
        inside = f"coalesce({where}, false)"
        rank = f"dense_rank() OVER (PARTITION BY {inside}{order})" if keys else "1"
        codes.append(f"CASE WHEN {inside} THEN {rank} - 1 ELSE -1 END AS s{number}")
        codes += [f"{key} AS k{number}_{j}" for j, key in enumerate(keys)]
    joins = "".join(f" JOIN c{i} USING (i{i})" for i in range(len(columns)))
    return f"SELECT {numbers}, {', '.join(codes)} FROM points{joins}"  # noqa: S608


def _on_points(expression: exp.Expr, columns: Sequence[str]) -> str:
    """The expression over representatives instead of columns."""
    place = {column: i for i, column in enumerate(columns)}

    def swap(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            i = place[node.sql(dialect=DIALECT)]
            return exp.column(f"r{i}", table=f"c{i}")
        return node

    return str(expression.copy().transform(swap).sql(dialect=DIALECT))


def _points(shared: str, columns: Sequence[str], slices: Sequence[Slice]) -> str:
    shown = [f"i{i}" for i in range(len(columns))] or ["i0"]
    shown += [f"s{number}" for number in range(len(slices))]
    return f"{shared} SELECT {', '.join(shown)} FROM marked ORDER BY {', '.join(shown)}"  # noqa: S608


def _records(
    shared: str, flat: Flat, columns: Sequence[str], parts: Mapping[str, list[str]], measures: Sequence[str]
) -> str:
    """Per point: rows, units, and per measure its total, what single units contribute, and how many have the lowest value of all and
    the highest."""
    numbers = [f"i{i}" for i in range(len(columns))]
    values = "".join(f", TRY_CAST({m} AS DOUBLE) AS m{j}" for j, m in enumerate(measures))
    shown = ", ".join(f"c{i}.i{i}" for i in range(len(columns))) or "0 AS i0"
    base = f"SELECT {shown}, {flat.unit} AS u{values} FROM {flat.universe}{_class_joins(columns, parts)}"  # noqa: S608
    group = ", ".join(numbers or ["i0"])
    sums = "".join(f", sum(m{j}) AS t{j}, count(m{j}) AS n{j}" for j in range(len(measures)))
    per_unit = f"SELECT {group}, u, count(*) AS r{sums} FROM ({base}) GROUP BY {group}, u"  # noqa: S608
    ends = "".join(f", min(t{j}) AS low{j}, max(t{j}) AS high{j}" for j in range(len(measures)))
    bounds = f"SELECT count(*) AS every{ends} FROM each_unit"  # noqa: S608
    stats = "".join(
        f", coalesce(sum(t{j}), 0), coalesce(sum(abs(t{j})), 0), max(abs(t{j}), 2), count(*) FILTER (WHERE n{j} > 0), "
        f"count(*) FILTER (WHERE t{j} = low{j}), count(*) FILTER (WHERE t{j} = high{j} AND low{j} < high{j})"
        for j in range(len(measures))
    )
    return (
        f"{shared}, each_unit AS MATERIALIZED ({per_unit}), ends AS ({bounds}) "  # noqa: S608
        f"SELECT {group}, CAST(sum(r) AS BIGINT), count(u), (SELECT count(DISTINCT u) FROM ({base})){stats} "
        f"FROM each_unit, ends GROUP BY {group} ORDER BY {group}"
    )


def _profiles(shared: str, flat: Flat, columns: Sequence[str], parts: Mapping[str, list[str]]) -> str:
    """In which points those with several rows have them (2 for more than one), and how many people have the same."""
    point = f"concat_ws(',', {', '.join(f'c{i}.i{i}' for i in range(len(columns))) or '0'})"
    rows = f"SELECT {flat.unit} AS u, {point} AS p FROM {flat.universe}{_class_joins(columns, parts)}"  # noqa: S608
    each = f"SELECT u, p, count(*) AS r FROM ({rows}) WHERE u IS NOT NULL GROUP BY u, p"  # noqa: S608
    profile = "string_agg(p || ':' || least(r, 2), ';' ORDER BY p)"
    people = f"SELECT {profile} AS profile FROM ({each}) GROUP BY u HAVING sum(r) > 1"  # noqa: S608
    return (
        f"{shared} SELECT profile, count(*) FROM ({people}) GROUP BY profile ORDER BY profile LIMIT {MOST_PROFILES + 1}"  # noqa: S608
    )


def _codes(shared: str, number: int, one: Slice) -> str:
    keys = "".join(f", k{number}_{j}" for j in range(len(one.keys)))
    return f"{shared} SELECT DISTINCT s{number}{keys} FROM marked WHERE s{number} >= 0 ORDER BY s{number}"  # noqa: S608


@dataclass(frozen=True, eq=False)
class Grid:
    """Atoms of one universe and, for each slice, its cell per atom and the key values behind each cell number."""

    plan: AtomPlan
    atoms: Atoms
    cell_of: tuple[Ints, ...]
    keys: tuple[tuple[tuple[Any, ...], ...], ...]
    profiles: Profiles
    same: Mapping[str, str] = field(default_factory=dict)  # measures that have every figure of another: its name

    def unmet(self, release: int, suppressed: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a key in `suppressed` means no cell of release number `release`, so that nobody knows which one was not published."""
        derivation = self.plan.derivations[self.plan.releases.index(release)]
        names = [key.name for key in derivation.keys]
        keys = [
            k for one, found in zip(self.plan.slices, self.keys, strict=True) if one.release == release for k in found
        ]
        every = []
        for chosen in derivation.grouping_sets if suppressed else ():
            kept = [names.index(n) for n in names if n in chosen]
            every.append(_places(names, kept, dict.fromkeys(tuple(k[j] for j in kept) for k in keys)))
        return any(all(places.find(key) is None for places in every) for key in suppressed)

    def counted(
        self, release: int, table: int, suppressed: Sequence[Mapping[str, Any]] = (), rounding_base: int | None = None
    ) -> list[Counted]:
        """The layers in which release number `release` counts rows or people, as those of `table`."""
        derivation = self.plan.derivations[self.plan.releases.index(release)]
        return [
            Counted(table, kind, self.layer(number, derivation, chosen, suppressed, (rounding_base, False)))
            for number, one in enumerate(self.plan.slices)
            if one.release == release
            for chosen in derivation.grouping_sets
            for kind in sorted(one.counts)
        ]

    def published(
        self,
        release: int,
        name: str,
        suppressed: Sequence[Mapping[str, Any]] = (),
        rounding_base: int | None = None,
        *,
        controlled: bool = False,
    ) -> PublishedTable:
        """Release number `release` (as in `plan.releases`) as what its readers know. A key in `suppressed` maps each key
        name to its value, None for the total over it. `rounding_base`: figures to the nearest multiple, or `controlled` to either
        neighbour."""
        derivation = self.plan.derivations[self.plan.releases.index(release)]
        layers: dict[str, list[Layer]] = {}
        for number, one in enumerate(self.plan.slices):
            if one.release == release:
                for chosen in derivation.grouping_sets:
                    layer = self.layer(number, derivation, chosen, suppressed, (rounding_base, controlled))
                    layers.setdefault(self.same.get(one.quantity, one.quantity), []).append(layer)
        return PublishedTable(name, layers)

    def layer(
        self,
        number: int,
        derivation: Derivation,
        chosen: frozenset[str],
        suppressed: Sequence[Mapping[str, Any]],
        rounding: tuple[int | None, bool],
    ) -> Layer:
        """One grouping set of one slice: cells, their true figures, and what of them is known."""
        one = self.plan.slices[number]
        names = [key.name for key in derivation.keys]
        kept = [names.index(n) for n in names if n in chosen]
        groups: dict[tuple[Any, ...], int] = {}
        of_code = [groups.setdefault(tuple(k[j] for j in kept), len(groups)) for k in self.keys[number]]
        table = np.array([*of_code, -1], dtype=np.int32)
        cell_of = table[self.cell_of[number]]
        inside = cell_of >= 0
        rows = np.bincount(cell_of[inside], weights=self.atoms.count[inside], minlength=len(groups)).astype(float)
        truth = self.atoms.count if one.quantity == COUNT else self.atoms.measures[one.quantity].total
        value = np.bincount(cell_of[inside], weights=truth[inside], minlength=len(groups)).astype(np.float64)
        hidden = _hidden(_places(names, kept, groups), len(groups), suppressed)
        low, high = _known(value, rows, hidden, rounding, one)
        labels = tuple(", ".join(f"{names[j]} = {v}" for j, v in zip(kept, key, strict=True)) for key in groups)
        return Layer(cell_of, low, high, labels)


def _places(names: Sequence[str], kept: Sequence[int], groups: Iterable[tuple[Any, ...]]) -> Places:
    shown = [names[j] for j in kept]
    return Places(names, [published(names, shown, values) for values in groups])


def _known(
    value: Floats, rows: Floats, hidden: Floats, rounding: tuple[int | None, bool], one: Slice
) -> tuple[Floats, Floats]:
    """Interval of each cell: exact, rounded, present only, hidden; an absent group is a published zero.

    With controlled rounding the reader sees the multiple below or above and knows less than a base either side of it. Which of the
    two left is not remembered, so the audit grants the reader what both have in common: between the neighbours.
    """
    base, controlled = rounding
    value = value * one.factor
    low, high = value.copy(), value.copy()
    if base and controlled:
        whole = value % base == 0
        low = np.where(whole, value - base + 1, np.floor(value / base) * base)
        high = np.where(whole, value + base - 1, np.ceil(value / base) * base)
        low = np.where(value >= 0, np.maximum(low, 0.0), low)
    elif base:
        middle = np.floor(value / base + 0.5) * base
        low, high = np.minimum(middle - base / 2, value), np.maximum(middle + base / 2, value)
        if one.quantity == COUNT and one.factor == 1.0:  # a whole number, and none below nothing
            low, high = np.maximum(np.ceil(low), 0.0), np.floor(high)
    if not one.exact:
        low, high = np.minimum(np.ones_like(value), rows), np.full_like(value, np.inf)
    unknown = hidden > 0
    low[unknown], high[unknown] = -np.inf, np.inf
    absent = (rows == 0) & ~unknown
    low[absent] = high[absent] = 0.0
    if base and controlled:  # a row rounded to nothing is left out too, so an absent one can hold somebody
        high[absent] = base - 1.0
    ends = low / one.factor, high / one.factor
    return ends if one.factor > 0 else ends[::-1]


def _hidden(places: Places, size: int, suppressed: Sequence[Mapping[str, Any]]) -> Floats:
    out = np.zeros(size)
    for key in suppressed:
        number = places.find(key)
        if number is not None:
            out[number] = 1.0
    return out


def read_atoms(plan: AtomPlan, results: Sequence[Sequence[Sequence[Any]]], floors: Mapping[str, float]) -> Grid:
    """The answers of `plan.statements`, in order, as atoms. `floors`: public lower bounds of measures, by their SQL.

    Raises JudgementFault when an answer is missing.
    """
    if len(results) != len(plan.statements):
        raise JudgementFault(
            "The releases could not be compared.",
            why="An answer of the verifier is missing.",
            do="Submit it again; if it stays so, tell an administrator.",
        )
    width = max(1, len(plan.columns))
    table = np.array([[-1 if v is None else v for v in row] for row in results[0]], dtype=np.int64)
    table = table.reshape(len(results[0]), width + len(plan.slices))
    points, codes = table[:, :width], table[:, width:]
    point_of = {tuple(p): i for i, p in enumerate(points.tolist())}
    records = _Records.read(results[1], width, len(plan.measures), point_of)
    kept = _possible(points, records.points)
    atom, first = _merge(codes[kept])
    of_point = np.full(len(points), -1, dtype=np.int64)
    of_point[kept] = atom
    atoms = records.over(of_point[records.points], len(first), plan.measures, floors, _words(plan))
    keys = tuple(tuple(tuple(row[1:]) for row in answer) for answer in results[3:])
    cell_of = tuple(codes[kept][first][:, s] for s in range(len(plan.slices)))
    people = np.bincount(records.points, weights=records.units, minlength=len(points)).astype(np.float64)
    profiles = read_profiles(results[2], point_of, people, of_point)
    return Grid(plan, atoms, cell_of, keys, profiles, _same_measures(plan.measures, records.measures))


def _same_measures(names: Sequence[str], figures: Sequence[tuple[Floats, ...]]) -> dict[str, str]:
    """Measures whose figures are those of an earlier one everywhere: `abs(pay)` where nobody's pay is negative."""
    same: dict[str, str] = {}
    for j, mine in enumerate(figures):
        for i, other in enumerate(figures[:j]):
            if names[i] not in same and all(
                np.allclose(a, b, rtol=1e-12, atol=0.0) for a, b in zip(mine, other, strict=True)
            ):
                same[names[j]] = names[i]
                break
    return same


def _possible(points: Ints, occupied: Ints) -> Ints:
    """Points that no hierarchy in the data rules out: where one column's class fixes another's, only the fixed one."""
    keep = np.ones(len(points), dtype=bool)
    held = points[occupied]
    for a in range(points.shape[1]):
        for b in range(points.shape[1]):
            pairs = np.unique(held[:, [a, b]], axis=0)
            classes = len(np.unique(held[:, a]))
            if a != b and len(pairs) == classes and 1 < len(np.unique(pairs[:, 1])) < classes:
                fixed = np.full(int(points[:, a].max()) + 1, -1, dtype=np.int64)
                fixed[pairs[:, 0]] = pairs[:, 1]
                keep &= (fixed[points[:, a]] == points[:, b]) | (fixed[points[:, a]] < 0)
    keep[occupied] = True
    return np.flatnonzero(keep)


def _merge(codes: Ints) -> tuple[Ints, Ints]:
    """Points that every slice treats alike are one atom; and one point of each."""
    _, first, atom = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return atom.reshape(-1), first


def _words(plan: AtomPlan) -> Callable[[Ints], str]:
    """Says which columns tell a set of atoms from the rest; no figures."""
    columns = ", ".join(plan.columns) or "the whole table"

    def describe(atoms: Ints) -> str:
        return f"a set of {len(atoms)} group{'s' if len(atoms) != 1 else ''} by {columns}"

    return describe


@dataclass(frozen=True, eq=False)
class _Records:
    points: Ints
    rows: Floats
    units: Floats
    all_units: float
    measures: tuple[tuple[Floats, Floats, Floats, Floats, Floats], ...]

    @classmethod
    def read(
        cls, answer: Sequence[Sequence[Any]], width: int, measures: int, point_of: Mapping[tuple[int, ...], int]
    ) -> _Records:
        points = np.array([point_of[tuple(int(v) for v in row[:width])] for row in answer], dtype=np.int64)
        figures = []
        for j in range(measures):
            at = width + 3 + _FIGURES * j
            tops = [[abs(float(x)) for x in (row[at + 2] or [])] + [0.0, 0.0] for row in answer]
            figures.append(
                (
                    np.array([float(row[at] or 0) for row in answer]),
                    np.array([float(row[at + 1] or 0) for row in answer]),
                    np.array([t[0] for t in tops]),
                    np.array([t[1] for t in tops]),
                    _behind(np.array([[float(v or 0) for v in row[at + 3 : at + 6]] for row in answer]).reshape(-1, 3)),
                )
            )
        rows = np.array([float(row[width]) for row in answer])
        units = np.array([float(row[width + 1]) for row in answer])
        total = float(answer[0][width + 2]) if len(answer) else 0.0
        return cls(points, rows, units, total, tuple(figures))

    def over(
        self, atom: Ints, size: int, names: Sequence[str], floors: Mapping[str, float], describe: Callable[[Ints], str]
    ) -> Atoms:
        """Figures per atom. People who stand in several points of one atom are counted once at the least."""
        alone = self.units.sum() <= self.all_units + 0.5
        units = self._sum(self.units, atom, size) if alone else self._most(self.units, atom, size)
        measures = {}
        for name, (total, absolute, top1, top2, contributors) in zip(names, self.measures, strict=True):
            largest, second = _two_largest(top1, top2, atom, size)
            measures[name] = Measure(
                total=self._sum(total, atom, size),
                total_abs=self._sum(absolute, atom, size),
                top1=largest,
                top2=second,
                contributors=(
                    self._sum(contributors, atom, size) if alone else self._most(contributors, atom, size)
                ).astype(np.int64),
                low=floors.get(name, _floor(total, absolute)),
            )
        return Atoms(self._sum(self.rows, atom, size), units.astype(np.int64), measures, describe)

    @staticmethod
    def _sum(figure: Floats, atom: Ints, size: int) -> Floats:
        return np.bincount(atom, weights=figure, minlength=size).astype(np.float64)

    @staticmethod
    def _most(figure: Floats, atom: Ints, size: int) -> Floats:
        out = np.zeros(size)
        np.maximum.at(out, atom, figure)
        return out


def _behind(counts: Floats) -> Floats:
    """Units that a total tells of: those with a value; where everybody has one of two (0 and 1, yes and no), those with the rarer, since
    the total and the number of people tell how many they are. `counts`: per point, with a value, the lowest, the highest."""
    with_value, lowest, highest = counts.T
    if lowest.sum() + highest.sum() != with_value.sum() or not highest.any():
        return np.asarray(with_value)
    rarer = np.minimum(lowest, highest)
    return np.asarray(np.where(rarer > 0, rarer, with_value))


def _floor(total: Floats, absolute: Floats) -> float:
    """A measure without a negative contribution (pay, costs) is known to be of that kind; of any other nothing is known."""
    return 0.0 if np.allclose(total, absolute, rtol=1e-9, atol=0.0) else float("-inf")


def _two_largest(top1: Floats, top2: Floats, atom: Ints, size: int) -> tuple[Floats, Floats]:
    largest, second = np.zeros(size), np.zeros(size)
    for a, x1, x2 in zip(atom.tolist(), top1.tolist(), top2.tolist(), strict=True):
        best = sorted((largest[a], second[a], x1, x2), reverse=True)
        largest[a], second[a] = best[0], best[1]
    return largest, second
