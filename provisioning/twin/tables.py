"""One table's twin: the figures come from a bounded number of rows of each unit, the rows from the figures alone."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provisioning.domain.dataset import RegisteredTable
from provisioning.domain.twin import TwinTerms
from provisioning.intake.engine import quoted
from provisioning.twin.columns import Budget, Levels, decode, encode, learn
from provisioning.twin.mechanisms import Ints, OpenDpDraws
from provisioning.twin.model import fit, sample

_CHANCE, _RANK = "\tchance", "\trank"  # no registered column's name holds a control character
MOST_ROWS = 400_000  # that figures are taken from; of a larger table a random part of its units


@dataclass(frozen=True, eq=False)
class Twin:
    """``rows``: texts that cast to the table's types, every column in order; ``real`` and ``made``: levels of both, for the report."""

    table: RegisteredTable
    rows: pa.Table
    columns: tuple[str, ...]
    real: list[Ints]
    made: list[Ints]


def twin_of(
    engine: duckdb.DuckDBPyConnection,
    relation: str,
    table: RegisteredTable,
    units: int,
    terms: TwinTerms,
    draws: OpenDpDraws,
    rng: np.random.Generator,
) -> Twin:
    """``terms`` for this table alone; ``units``: how many people the twin's tables share (0 where each row is its own)."""
    found = engine.sql(_bounded(relation, table, terms.rows_per_unit)).to_arrow_table()
    spread = _spread(found, table, terms, draws)
    most = _enough(spread)
    found = found.filter(pc.less_equal(found[_RANK], most))
    names = tuple(c.name for c in table.columns if c.name != table.unit)
    kinds = {c.name: c.type for c in table.columns}
    share = Budget(most, terms.epsilon * 0.35 / max(len(names), 1), terms.delta / max(len(names), 1))
    levels = {name: learn(found[name], kinds[name], draws, share) for name in names}
    real = [encode(found[name], levels[name]) for name in names]
    sizes = [levels[name].size for name in names]
    owners = _owners(table, units, spread[:most], rng)
    made = sample(fit(real, sizes, draws, most, terms.epsilon * 0.6), len(owners), rng) if names else []
    return Twin(table, _assembled(table, owners, names, levels, made, rng), names, real, made)


def units_of(
    engine: duckdb.DuckDBPyConnection, relations: dict[str, tuple[str, str]], draws: OpenDpDraws, epsilon: float
) -> int:
    """How many units the tables have between them, with noise; ``relations``: table → (relation, unit column)."""
    if not relations:
        return 0
    every = " UNION ".join(
        f"SELECT CAST({quoted(unit)} AS VARCHAR) FROM {relation}" for relation, unit in relations.values()
    )
    count = engine.execute(f"SELECT count(*) FROM ({every})").fetchall()[0][0]
    return max(int(draws.counts(np.array([count], dtype=np.int64), 1, epsilon)[0]), 1)


def _bounded(relation: str, table: RegisteredTable, most: int) -> str:
    """At most so many rows of a unit, chosen by chance and numbered; of a large table the rows of some units only."""
    columns = ", ".join(quoted(c.name) for c in table.columns)
    if table.unit is None:
        part = f"USING SAMPLE {MOST_ROWS} ROWS" if table.rows > MOST_ROWS else ""
        return f"SELECT {columns}, 1 AS {quoted(_RANK)} FROM {relation} {part}"
    unit, rows = quoted(table.unit), f"SELECT *, random() AS {quoted(_CHANCE)} FROM {relation}"
    if table.rows > MOST_ROWS:
        share = max(MOST_ROWS * 100.0 / table.rows, 0.0001)
        units = f"SELECT * FROM (SELECT DISTINCT {unit} FROM {relation}) USING SAMPLE {share:.4f} PERCENT (bernoulli)"
        rows += f" WHERE {unit} IN (SELECT {unit} FROM ({units}))"
    ranked = f"row_number() OVER (PARTITION BY {unit} ORDER BY {quoted(_CHANCE)}) AS {quoted(_RANK)}"
    return f"SELECT * FROM (SELECT {columns}, {ranked} FROM ({rows})) WHERE {quoted(_RANK)} <= {most}"


def _spread(found: pa.Table, table: RegisteredTable, terms: TwinTerms, draws: OpenDpDraws) -> Ints:
    """How many units have one row, two, …, with noise; each unit counts once."""
    if table.unit is None:
        return np.array([table.rows], dtype=np.int64)
    ranks = np.asarray(found[_RANK].to_numpy(), dtype=np.int64)
    reached = np.bincount(ranks, minlength=terms.rows_per_unit + 2)[1 : terms.rows_per_unit + 2].astype(np.int64)
    noisy = draws.counts(reached[:-1] - reached[1:], 1, terms.epsilon * 0.05)
    return np.maximum(noisy, 0)


def _enough(spread: Ints) -> int:
    """The fewest rows that nine of ten units do not exceed: every row more makes all figures noisier."""
    reached = np.cumsum(spread) >= 0.9 * spread.sum()
    return int(np.argmax(reached)) + 1


def _owners(table: RegisteredTable, units: int, spread: Ints, rng: np.random.Generator) -> Ints:
    """For each row of the twin whose it is: numbers from 1 on, the same people in every table."""
    if table.unit is None:
        return np.arange(1, table.rows + 1, dtype=np.int64)
    weights = np.maximum(spread, 0).astype(np.float64)
    share = weights / weights.sum() if weights.sum() > 0 else np.eye(1, len(spread))[0]
    people = units if table.rows > MOST_ROWS else max(min(units, int(weights.sum())), 1)
    each = rng.choice(np.arange(1, len(spread) + 1), size=people, p=share)
    who = rng.choice(units, size=people, replace=False) + 1
    return np.repeat(np.sort(who), each).astype(np.int64)


def _assembled(
    table: RegisteredTable,
    owners: Ints,
    names: tuple[str, ...],
    levels: dict[str, Levels],
    made: list[Ints],
    rng: np.random.Generator,
) -> pa.Table:
    columns = {name: decode(codes, levels[name], rng) for name, codes in zip(names, made, strict=True)}
    if table.unit is not None:
        columns[table.unit] = pa.array([str(n) for n in owners], pa.string())
    return pa.table({c.name: columns[c.name] for c in table.columns})
