"""Which tokens of a text are values of the tables, and which records they name together. Stand-alone: beside it `execute.py`, and duckdb.

Reads one JSON job on standard input, writes one JSON answer on standard output. The answer holds numbers of tokens, names of columns and
counts: nothing of the data that was not in the text already.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from decimal import ROUND_HALF_UP, Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import duckdb


def beside(name: str) -> Any:
    """The program of this name in the same folder, wherever that is mounted."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = beside("execute")

MAX_JOB = 48 * 1024 * 1024
MAX_DECIMALS = 6
MAX_SEED_ROWS = 20_000
MAX_PAIRS = 1_000_000
SEEDS = 12
ENOUGH_ROWS = 1_000
PATTERNS = 3
LEAST_DIGITS = 3  # below, a number with digits cut off says nothing
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
SQUEEZED = "regexp_replace(strip_accents(lower(CAST({c} AS VARCHAR))), '[^\\p{{L}}\\p{{N}}]', '', 'g')"


def main() -> int:
    raw = sys.stdin.buffer.read(MAX_JOB + 1)
    if len(raw) > MAX_JOB:
        return int(execute.answer({"error": "too-large", "what": "The job is too large."}))
    try:
        made = run(json.loads(raw))
    except duckdb.InterruptException:
        made = {"error": "time", "what": "The scan took longer than its limit."}
    except (MemoryError, duckdb.OutOfMemoryException):
        made = {"error": "memory", "what": "The scan needed more memory than its limit."}
    except duckdb.Error as broken:
        what = f"The engine refused it ({type(broken).__name__})."
        made = {"error": "engine", "what": what, "private": str(broken)[:2000]}
    return int(execute.answer(made))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Hits, what each column lets one expect by chance, and the records. Raises duckdb.Error."""
    begun = time.perf_counter()
    con = duckdb.connect(":memory:")
    late, done = threading.Event(), threading.Event()
    watch = threading.Thread(target=_ended_at, args=(con, float(job["limits"]["seconds"]), late, done), daemon=True)
    watch.start()
    try:
        execute.prepare(con, job["tables"], job["limits"])
        made: dict[str, Any] = {"hits": [], "columns": [], "patterns": [], "rows": {}, "unseen": 0}
        for table in job["tables"]:
            one = Table(con, table, job)
            one.look()
            for name in ("hits", "columns", "patterns"):
                made[name] += getattr(one, name)
            made["rows"][one.key] = one.size
            made["unseen"] = max(made["unseen"], one.unseen)
    finally:
        done.set()
        watch.join()
        con.close()
    if late.is_set():
        raise duckdb.InterruptException("it took longer than its limit")
    return {**made, "seconds": {"scan": time.perf_counter() - begun}}


def _ended_at(con: duckdb.DuckDBPyConnection, seconds: float, late: threading.Event, done: threading.Event) -> None:
    """Interrupts until it is over: one interrupt between two queries would stop neither."""
    if done.wait(seconds):
        return
    late.set()
    while not done.wait(0.02):
        con.interrupt()


class Table:
    """One table's part of the answer."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: dict[str, Any], job: dict[str, Any]) -> None:
        self.con, self.job = con, job
        self.key = f"{table['dataset']}.{table['name']}"
        self.name = f"{execute.quoted(table['dataset'])}.{execute.quoted(table['name'])}"
        self.unit = execute.quoted(table["unit"]) if table.get("unit") else None
        self.rare = int(job["rare"])
        self.hits: list[list[Any]] = []
        self.columns: list[list[Any]] = []
        self.patterns: list[list[Any]] = []
        self.unseen = 0
        self.size = 0
        self._found: dict[int, list[tuple[str, int, int, str]]] = {}  # token → column, decimals, rows, key

    def look(self) -> None:
        described = self.con.execute(f"DESCRIBE {self.name}").fetchall()
        row = self.con.execute(f"SELECT count(*) FROM {self.name}").fetchone()
        self.size = int(row[0]) if row else 0
        self._kinds = {str(d[0]): str(d[1]) for d in described if not str(d[0]).startswith("__")}
        if self.size:
            for column, kind in self._kinds.items():
                self._column(column, kind)
        self._records()

    def _column(self, column: str, kind: str) -> None:
        """Every way in which tokens can be values of it: numbers at each precision, dates, texts."""
        for decimals, wanted in self._wanted(column, kind).items():
            self._held(column, decimals)
            for word, keys in wanted.items():
                self._matched(column, decimals, word, keys)

    def _wanted(self, column: str, kind: str) -> dict[int, dict[str, dict[str, list[int]]]]:
        """Decimals (−1 for text, −2 for dates) → kind of token → key → tokens."""
        tokens = list(enumerate(self.job["tokens"]))
        if kind.startswith(("TIMESTAMP", "DATE")):
            return {-2: {"date": _grouped((t[1], n) for n, t in tokens if t[0] == "date")}}
        if not kind.startswith((*INTEGERS, "DOUBLE", "FLOAT", "DECIMAL")):
            return {-1: {"text": _grouped((t[1], n) for n, t in tokens if t[0] == "text")}}
        most = 0 if kind.startswith(INTEGERS) else self._decimals(column)
        made: dict[int, dict[str, list[tuple[str, int]]]] = {}
        for n, (word, value) in tokens:
            if word == "number":
                own = len(value.partition(".")[2])
                at = min(most, own)
                keys = [k for k in number_keys(value, at) if own <= most or len(k) > LEAST_DIGITS]
                made.setdefault(at, {}).setdefault(word, []).extend((key, n) for key in keys)
        return {at: {word: _grouped(found) for word, found in by.items()} for at, by in made.items()}

    def _decimals(self, column: str) -> int:
        """How many decimals the column's values have."""
        c = f"CAST({execute.quoted(column)} AS DOUBLE)"
        steps = " ".join(
            f"WHEN abs({c} - round({c}, {d})) <= 1e-9 * greatest(1, abs({c})) THEN {d}" for d in range(MAX_DECIMALS)
        )
        sql = f"SELECT max(CASE {steps} ELSE {MAX_DECIMALS} END) FROM {self.name} WHERE isfinite({c})"
        row = self.con.execute(sql).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def _held(self, column: str, decimals: int) -> None:
        """The column's values in that form, with how many rows and units have each."""
        people = "count(*)" if self.unit is None else f"count(DISTINCT {self.unit})"
        key = keyed(column, self._kinds[column], decimals)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE held AS SELECT {key} AS k, count(*) AS n, {people} AS u FROM {self.name} "
            f"WHERE {key} IS NOT NULL GROUP BY 1"
        )
        self._sizes = self._density() if decimals >= 0 else {}

    def _matched(self, column: str, decimals: int, word: str, wanted: dict[str, list[int]]) -> None:
        if not wanted:
            return
        self.con.execute("CREATE OR REPLACE TEMP TABLE asked (k VARCHAR)")
        self.con.execute("INSERT INTO asked SELECT unnest(?)", [list(wanted)])
        rows = self.con.execute("SELECT held.k, n, u FROM held JOIN asked ON held.k = asked.k").fetchall()
        shares = [c for c in (self._chance(k, decimals, self._sizes) for k in wanted) if c is not None]
        few = len({k for k, _, u in rows if u < self.rare})
        self.columns.append([self.key, column, word, len(shares), sum(shares), few])
        for k, n, u in rows:
            for token in wanted[k]:
                self.hits.append([token, self.key, column, word, int(n), int(u)])
                self._found.setdefault(token, []).append((column, decimals, int(n), k))

    def _density(self) -> dict[tuple[bool, int], int]:
        """Rare values by size (powers of two), to tell a value that was copied from a number that happens to occur."""
        sql = (
            "SELECT k LIKE '-%' AS below, CASE WHEN abs(CAST(k AS DOUBLE)) < 1 THEN 0 "
            f"ELSE CAST(floor(log2(abs(CAST(k AS DOUBLE)))) AS INTEGER) END AS size, count(*) FROM held WHERE u < {self.rare} GROUP BY 1, 2"
        )
        return {(bool(below), int(size)): int(n) for below, size, n in self.con.execute(sql).fetchall()}

    def _chance(self, key: str, decimals: int, density: dict[tuple[bool, int], int]) -> float | None:
        """The share of numbers of this size that are rare values of the column; None where no rare value has that size. Text: none."""
        if decimals < 0:
            return None
        whole = abs(int(key))
        size = whole.bit_length() - 1 if whole else 0
        found = density.get((key.startswith("-"), size))
        return None if found is None else min(1.0, found / max(1, 2**size))

    def _records(self) -> None:
        """For each window, the records that its rarest tokens lead to, and what else of each stands in the window."""
        seeds, held = self._seeds()
        if not seeds:
            return
        con = self.con
        con.execute("CREATE OR REPLACE TEMP TABLE seeds (w INTEGER, s INTEGER, c VARCHAR, d INTEGER, k VARCHAR)")
        con.execute("CREATE OR REPLACE TEMP TABLE wk (w INTEGER, c VARCHAR, d INTEGER, k VARCHAR, t INTEGER, n BIGINT)")
        _fill(con, "seeds", seeds)
        _fill(con, "wk", held)
        self._follow({(c, d) for _, _, c, d, _ in seeds})
        found = con.execute(self._agreeing({(c, d) for _, c, d, _, _, _ in held})).fetchall()
        for w, cs, ts, ns, rows, units in found:
            self.patterns.append([int(w), self.key, list(cs), list(ts), list(ns), int(rows), int(units)])

    def _follow(self, columns: set[tuple[str, int]]) -> None:
        """The records that the seeds lead to, each as one value, so that no name of a column meets one of ours."""
        unit = f"t.{self.unit}" if self.unit else "row_number() OVER ()"
        parts = " UNION ALL ".join(
            f"SELECT seeds.w, seeds.s, {unit} AS u, t AS r FROM {self.name} t JOIN seeds ON seeds.c = {execute.literal(c)} "
            f"AND seeds.d = {d} AND seeds.k = {keyed(c, self._kinds[c], d, 't.')}"
            for c, d in sorted(columns)
        )
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE found AS SELECT row_number() OVER () AS n, * FROM ({parts})")

    def _agreeing(self, columns: set[tuple[str, int]]) -> str:
        """Which columns of each record agree with its window, and how many people have records that agree so."""
        matches = " UNION ALL ".join(
            f"SELECT f.w, f.s, f.n AS r, f.u, wk.c, wk.t, wk.n FROM found f JOIN wk ON wk.w = f.w AND wk.c = {execute.literal(c)} "
            f"AND wk.d = {d} AND wk.k = {keyed(c, self._kinds[c], d, 'f.r.')}"
            for c, d in sorted(columns)
        )
        surest = f"len(cs) * {math.log2(max(2, self.size))} + min(weight) DESC"
        return (
            f"WITH m AS (SELECT w, s, r, u, c, min(t) AS t, min(n) AS n FROM ({matches}) GROUP BY ALL), "
            "a AS (SELECT w, s, r, u, list(c ORDER BY c) AS cs, list(t ORDER BY c) AS ts, list(n ORDER BY c) AS ns, "
            "sum(-log2(n)) AS weight FROM m GROUP BY ALL) "
            "SELECT w, cs, ts, ns, count(*), count(DISTINCT u) FROM a WHERE len(cs) > 1 GROUP BY w, s, cs, ts, ns "
            f"QUALIFY row_number() OVER (PARTITION BY w ORDER BY {surest}) <= {PATTERNS}"
        )

    def _seeds(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        seeds: list[tuple[Any, ...]] = []
        held: list[tuple[Any, ...]] = []
        pairs = 0
        for w, window in enumerate(self.job["windows"]):
            found = [(n, c, d, k, t) for t in window for c, d, n, k in self._found.get(t, ())]
            if len({c for _, c, _, _, _ in found}) < 2:
                continue
            chosen = _rarest(found)
            cost = sum(one[0] for one in chosen)
            if not chosen:  # only values that very many share: they name nobody
                continue
            if pairs + cost > MAX_PAIRS:
                self.unseen += 1
                continue
            pairs += cost
            seeds += [(w, s, c, d, k) for s, (_, c, d, k, _) in enumerate(chosen)]
            held += [(w, c, d, k, t, n) for n, c, d, k, t in found]
        return seeds, held


def _fill(con: duckdb.DuckDBPyConnection, name: str, rows: list[tuple[Any, ...]]) -> None:
    """Rows into a table in one statement."""
    columns = [list(one) for one in zip(*rows, strict=True)]
    con.execute(f"INSERT INTO {name} SELECT {', '.join('unnest(?)' for _ in columns)}", columns)


def _rarest(found: list[tuple[int, str, int, str, int]]) -> list[tuple[int, str, int, str, int]]:
    """The values that lead to fewest records: several, as the rarest may stand there by chance, and as many as are cheap to follow."""
    chosen: list[tuple[int, str, int, str, int]] = []
    rows = 0
    for one in sorted(found)[:SEEDS]:
        rows += one[0]
        if one[0] > MAX_SEED_ROWS or (chosen and rows > ENOUGH_ROWS):
            break
        chosen.append(one)
    return chosen


def _grouped(found: Any) -> dict[str, list[int]]:
    made: dict[str, list[int]] = {}
    for key, token in found:
        made.setdefault(key, []).append(token)
    return made


def number_keys(value: str, decimals: int) -> list[str]:
    """The number as a whole number at this many decimals: rounded, and cut off where it has more."""
    moved = Decimal(value).scaleb(decimals)
    rounded = str(int(moved.to_integral_value(ROUND_HALF_UP)))
    cut = str(int(moved))
    return [rounded] if rounded == cut else [rounded, cut]


def keyed(column: str, kind: str, decimals: int, of: str = "") -> str:
    """A row's value in the form in which tokens are compared with it."""
    c = of + execute.quoted(column)
    if decimals == -1:
        return "nullif(" + SQUEEZED.format(c=c) + ", '')"
    if decimals == -2:
        return f"CAST(CAST({c} AS DATE) AS VARCHAR)"
    if kind.startswith(INTEGERS):
        return f"CAST({c} AS VARCHAR)"
    moved = f"round(CAST({c} AS DOUBLE) * {10**decimals})"
    return f"CAST(TRY_CAST(CASE WHEN isfinite(CAST({c} AS DOUBLE)) THEN {moved} END AS HUGEINT) AS VARCHAR)"


if __name__ == "__main__":
    sys.exit(main())
