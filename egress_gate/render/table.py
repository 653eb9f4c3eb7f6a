"""A released table as canonical CSV and Parquet.

UTF-8, LF, plain decimal numbers with a declared precision, no cell that a spreadsheet would run. Suppressed rows are left out
whole: that a combination of keys exists at all would say that somebody is behind it, so a withheld row must look like an empty one.
Nothing of the assessment but the published values is written: no contributors, no findings.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

DECIMALS = 4
TOTAL = "(total)"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")

Scalar = int | float | str | bool | None


@dataclass(frozen=True)
class Row:
    """`values` are empty when `suppressed`; a key of None is the total over that column. `left_out`: HAVING does not want it."""

    key: Mapping[str, Any]
    values: tuple[Scalar, ...]
    suppressed: bool
    left_out: bool = False


@dataclass(frozen=True)
class CanonicalTable:
    keys: tuple[str, ...]
    values: tuple[str, ...]
    rows: tuple[Row, ...]
    protection: Mapping[str, Any] | None = None  # how its figures were altered, if they were

    @property
    def header(self) -> list[str]:
        return [plain_text(c) for c in (*self.keys, *self.values)]

    @property
    def leaving(self) -> tuple[Row, ...]:
        """The rows that are written into files."""
        return tuple(r for r in self.rows if not r.suppressed and not r.left_out)

    @property
    def whole(self) -> CanonicalTable:
        """The table as it would be without HAVING."""
        return replace(self, rows=tuple(replace(r, left_out=False) for r in self.rows))

    @property
    def cells(self) -> int:
        """Figures that leave."""
        return sum(1 for row in self.leaving for value in row.values if value is not None)

    def suppressed_keys(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(r.key for r in self.rows if r.suppressed)

    def csv(self) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.header)
        for row in self.leaving:
            writer.writerow([key_text(row.key.get(k)) for k in self.keys] + [value_text(v) for v in row.values])
        return out.getvalue().encode("utf-8")

    def parquet(self) -> bytes:
        """The same table with typed columns. Written without statistics of its own beyond the published values."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {}
        for k in self.keys:
            columns[k] = pa.array([key_text(r.key.get(k)) for r in self.leaving], pa.string())
        for i, v in enumerate(self.values):
            columns[v] = _column([rounded(r.values[i]) for r in self.leaving])
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink, compression="zstd")
        return bytes(sink.getvalue().to_pybytes())


def _column(values: Sequence[Scalar]) -> Any:
    import pyarrow as pa

    present = [v for v in values if v is not None]
    if all(isinstance(v, bool) for v in present) and present:
        return pa.array(values, pa.bool_())
    if all(isinstance(v, int) for v in present):
        return pa.array(values, pa.int64())
    if all(isinstance(v, int | float) for v in present):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else value_text(v) for v in values], pa.string())


def rounded(value: Scalar) -> Scalar:
    """To the declared precision; not-a-number and infinities become nothing."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-DECIMALS), ROUND_HALF_EVEN))


def value_text(value: Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _plain_number(value)
    return plain_text(str(value))


def _plain_number(value: float) -> str:
    shown = rounded(value)
    if shown is None:
        return ""
    text = format(Decimal(repr(shown)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def key_text(value: Any) -> str:
    return TOTAL if value is None else value_text(value)


def plain_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and without control characters."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return "'" + shown if text.startswith(_FORMULA) or shown.startswith(_FORMULA) else shown


def table_from_assessment(assessment: Mapping[str, Any]) -> CanonicalTable:
    """The protected table in a stored assessment. A suppressed cell's values are not copied at all.

    Of a table that was rounded or given noise, only the altered figures are read; a row without any is left out like an empty
    group, and not remembered as suppressed, because the reader knows that it is small.
    """
    keys, values = tuple(assessment["keys"]), tuple(assessment["values"])
    protection = assessment.get("protection")
    rows = []
    for cell in assessment["cells"]:
        hidden = cell["suppressed"] is not None
        figures = cell["released"] if protection is not None else cell["values"]
        if figures is None:
            continue
        shown = tuple(None if hidden else figures[v] if protection is not None else figures.get(v) for v in values)
        rows.append(Row(dict(cell["key"]), shown, hidden, cell.get("left_out") is True))
    return CanonicalTable(keys, values, tuple(rows), protection)
