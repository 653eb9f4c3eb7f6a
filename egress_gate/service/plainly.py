"""The answer of `assess` as a table and a few sentences, for people: its figures are those of the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HIDDEN = "·"


def plainly(answer: Mapping[str, Any]) -> str:
    """Cells, then what the joint audit found, then the decision with its reasons."""
    lines = _table(answer["cells"]) if answer["cells"] else []
    lines += [_inference(one) for one in answer["audit"]]
    if answer["audit_verdict"] != "proven_safe":
        lines.append(f"joint audit: {answer['audit_verdict'].replace('_', ' ')}")
    lines.append(f"decision: {answer['decision']}")
    lines += [f"- {reason['code']}: {reason['message']}" for reason in answer["reasons"]]
    return "\n".join(lines)


def _table(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a cell, columns aligned. In a key, ``all`` is the total; a hidden value is a dot."""
    head = [*cells[0]["key"], *cells[0]["values"], "people", "breaks", "hidden"]
    rows = [
        [
            *("all" if value is None else _number(value) for value in cell["key"].values()),
            *(_HIDDEN if cell["suppressed"] else _number(value) for value in cell["values"].values()),
            _number(cell["contributors"]),
            ", ".join(cell["findings"]) or "-",
            cell["suppressed"] or "-",
        ]
        for cell in cells
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "missing" if value is None else str(value)


def _inference(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]
    ends = [None if end is None else f"{end:.6g}" for end in (low, high)]
    around = f"is from {ends[0] or 'anything'} to {ends[1] or 'anything'}"
    bounds = f"is {ends[0]}" if one["kind"] == "exact" else around
    others = ", ".join(str(n + 1) for n in one["collides_with"])
    return f"joint audit: {one['target']} {bounds}" + (f", by earlier release {others}" if others else "")
