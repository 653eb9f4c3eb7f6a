"""What the hits of a scan mean: how unlikely it is that a text names values and records of the data by chance. Pure.

A number in a text often equals some value of a large table. So nothing is told from a hit alone. For the rare values of a column (held by
fewer people than the rule asks for) the number of hits is compared with what numbers of the same size would hit (Chernoff's bound). A line
that agrees with one record in several columns is weighed as record linkage does (Fellegi and Sunter, A theory for record linkage, 1969): by
how rare each agreement is, times the records and the choices there are. Both are given in bits: ten are a chance of one in a thousand.
What follows from them is policy's to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egress_gate.disclosure.scan.tokens import Scan

TEXT_BITS = 20.0  # a word that is a rare value: nobody writes a name by chance
DATE_BITS = 4.0  # reports name days; several that are all rare values are no coincidence
MOST_SHOWN = 50
MANY = 5  # lines that each could be chance, from which on they are weighed together
SHORTEST = 3  # letters of a word that can be rare by itself
LEAST_BITS = 7.0  # less than one in a hundred by chance: nothing is shown below


@dataclass(frozen=True)
class Found:
    """One thing to show to a person: a value, or a record, and where it stands."""

    what: str  # value, record
    where: str
    line: int
    last: int
    tokens: tuple[str, ...]
    table: str
    columns: tuple[str, ...]
    people: int
    bits: float

    def facts(self) -> dict[str, Any]:
        made = {name: getattr(self, name) for name in ("what", "where", "line", "last", "table", "people")}
        return {**made, "tokens": list(self.tokens), "columns": list(self.columns), "bits": round(self.bits, 1)}


@dataclass(frozen=True)
class Evidence:
    """``columns``: for each column with rare values in the text, how many and how surprising. ``records``: different ones."""

    columns: tuple[Mapping[str, Any], ...] = ()
    records: int = 0
    record_bits: float = 0.0
    together_bits: float = 0.0
    found: tuple[Found, ...] = field(default=())

    @property
    def values(self) -> int:
        return sum(int(c["values"]) for c in self.columns)

    @property
    def value_bits(self) -> float:
        return max((float(c["bits"]) for c in self.columns), default=0.0)


def evidence_of(scan: Scan, answer: Mapping[str, Any], rare: int) -> Evidence:
    """What the verifier's answer says about the text."""
    columns, values = _values(scan, answer, rare)
    records, best, together = _records(scan, answer, rare)
    apart = _apart(sorted(records, key=lambda f: -f.bits))
    ordered = apart + sorted(values, key=lambda f: (f.people, f.where, f.line))
    return Evidence(columns, len(apart), best, together, tuple(ordered[:MOST_SHOWN]))


def _apart(records: Sequence[Found]) -> list[Found]:
    """Each record once, the surest first: windows overlap, so that one is found several times, in part or as a whole."""
    kept: list[Found] = []
    for one in records:
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    return kept


def _same(one: Found, other: Found) -> bool:
    shared = set(one.tokens) & set(other.tokens)
    return one.table == other.table and 2 * len(shared) > min(len(one.tokens), len(other.tokens))


def surprise(hits: int, tried: int, expected: float) -> float:
    """Bits: the chance of so many hits or more, bounded from above (Chernoff 1952)."""
    if hits <= 0 or tried <= 0:
        return 0.0
    share, by_chance = min(1.0, hits / tried), min(1 - 1e-9, max(expected / tried, 1e-9))
    if share <= by_chance:
        return 0.0
    made = share * math.log2(share / by_chance)
    if share < 1:
        made += (1 - share) * math.log2((1 - share) / (1 - by_chance))
    return tried * made


def _telling(kind: str, value: str) -> bool:
    """Whether a rare value says something by itself; short words and short runs of digits do not."""
    if kind != "text":
        return True
    if value.isascii():
        return len(value) >= (5 if value.isdigit() else SHORTEST)
    return len(value) >= 2


def _values(scan: Scan, answer: Mapping[str, Any], rare: int) -> tuple[tuple[dict[str, Any], ...], list[Found]]:
    by_column: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for token, table, column, word, _, people in answer["hits"]:
        if people < rare and _telling(word, scan.tokens[token].value):
            by_column.setdefault((table, column, word), []).append((token, people))
    tried: dict[tuple[str, str, str], tuple[int, float, int]] = {}
    for table, column, kind, *counts in answer["columns"]:
        before = tried.get((table, column, kind), (0, 0.0, 0))
        tried[table, column, kind] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
    told, found = [], []
    for (table, column, kind), hits in sorted(by_column.items()):
        eligible, expected, few = tried[table, column, kind]
        count = len(hits) if kind == "text" else few
        bits = _column_bits(kind, count, (eligible, expected))
        if bits < LEAST_BITS:
            continue
        told.append({"table": table, "column": column, "kind": kind, "values": count, "bits": round(bits, 1)})
        for token, people in hits:
            where, line = scan.places[token][0] if scan.places[token] else ("", 0)
            text = (scan.tokens[token].value,)
            found.append(Found("value", where, line, line, text, table, (column,), people, bits))
    return tuple(told), found


def _column_bits(kind: str, hits: int, tried: tuple[int, float]) -> float:
    if kind == "text":
        return TEXT_BITS * hits
    if kind == "date":
        return DATE_BITS * hits
    return surprise(hits, max(hits, tried[0]), tried[1])


def _records(scan: Scan, answer: Mapping[str, Any], rare: int) -> tuple[list[Found], float, float]:
    held: dict[tuple[str, int], dict[str, int]] = {}
    for token, table, column, _, rows, _ in answer["hits"]:
        columns = held.setdefault((table, token), {})
        columns[column] = max(rows, columns.get(column, 0))
    best: dict[int, Found] = {}
    for window, table, columns, tokens, _, _, people in answer["patterns"]:
        if people >= rare:
            continue
        size = max(1, int(answer["rows"][table]))
        shares = _shares(table, scan.windows[window], held, size)
        chosen = _chosen(columns, tokens, shares)
        if len(chosen) < 2:
            continue
        bits = -sum(math.log2(shares[c]) for c, _ in chosen)
        bits -= math.log2(size) + math.log2(math.comb(len(shares), len(chosen)))
        made = _record(scan, window, table, chosen, people, bits)
        if window not in best or best[window].bits < bits:
            best[window] = made
    shown = [f for f in best.values() if f.bits >= LEAST_BITS]
    return shown, max((f.bits for f in shown), default=0.0), _together(scan, best, held)


def _record(scan: Scan, window: int, table: str, chosen: Sequence[tuple[str, int]], people: int, bits: float) -> Found:
    where, first, last = scan.spans[window]
    texts = tuple(scan.tokens[t].value for _, t in chosen)
    return Found("record", where, first, last, texts, table, tuple(c for c, _ in chosen), people, bits)


def _shares(
    table: str, window: Sequence[int], held: Mapping[tuple[str, int], Mapping[str, int]], size: int
) -> dict[str, float]:
    """For each column, the share of records with a value that stands in the window."""
    made: dict[str, float] = {}
    for token in window:
        for column, rows in held.get((table, token), {}).items():
            made[column] = min(1.0, made.get(column, 0.0) + rows / size)
    return made


def _chosen(columns: Sequence[str], tokens: Sequence[int], shares: Mapping[str, float]) -> list[tuple[str, int]]:
    """Agreements, the rarest first; one token stands for one column."""
    used: set[int] = set()
    made = []
    for column, token in sorted(zip(columns, tokens, strict=True), key=lambda one: shares.get(one[0], 1.0)):
        if column in shares and token not in used:
            used.add(token)
            made.append((column, token))
    return made


def _together(scan: Scan, best: Mapping[int, Found], held: Mapping[tuple[str, int], Mapping[str, int]]) -> float:
    """Lines that each could be chance, and together cannot: how many of those that could agree with a record do."""
    single = [w for w, (_, first, last) in enumerate(scan.spans) if first == last]
    tables = {table for table, _ in held}
    able = [w for w in single if any(len(_shares(t, scan.windows[w], held, 1)) > 2 for t in tables)]
    agreed = [best[w] for w in able if w in best and len(best[w].columns) > 2]
    if len(agreed) < MANY:
        return 0.0
    by_chance = sum(min(1.0, 2.0**-f.bits) for f in agreed) / len(agreed)
    return surprise(len(agreed), len(able), by_chance * len(able))
