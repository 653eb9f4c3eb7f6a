"""A regression as it leaves: canonical CSV of its terms, and JSON of the whole. No residuals, no fitted values, nothing by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from egress_gate.render.bundle import Part
from egress_gate.render.table import plain_text

COLUMNS = ("term", "estimate", "standard_error", "statistic", "p", "low", "high")
_WHOLE = {
    "family": "family",
    "formula": "formula",
    "covariance": "covariance",
    "observations": "observations (rounded)",
    "units": "people or other units (rounded)",
    "residual_df": "residual degrees of freedom (rounded)",
    "r_squared": "R² (pseudo R² for logit and poisson)",
    "deviance": "deviance",
}
_MEASURED = {
    "refused": "not judged because",
    "observations": "observations",
    "units": "people or other units",
    "residual_df": "residual degrees of freedom",
    "patterns": "different rows of the design",
    "columns": "coefficients",
}


def regression_parts(name: str, leaving: Mapping[str, Any]) -> tuple[Part, ...]:
    """`name`.csv with the terms and `name`.json with everything that leaves."""
    return Part(f"{name}.csv", terms_csv(leaving)), Part(f"{name}.json", leaving_json(leaving))


def terms_csv(leaving: Mapping[str, Any]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in leaving["terms"]:
        writer.writerow([plain_text(str(row["term"])), *(number(row[c]) for c in COLUMNS[1:])])
    return out.getvalue().encode("utf-8")


def leaving_json(leaving: Mapping[str, Any]) -> bytes:
    return (json.dumps(leaving, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def number(value: float) -> str:
    """The shortest text of a number that was rounded before."""
    return repr(float(value)).removesuffix(".0")


def summary_lines(leaving: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What stands above the terms, as label and value."""
    return tuple((label, str(leaving[key])) for key, label in _WHOLE.items() if key in leaving)


def rows(leaving: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The terms as text, for a page."""
    return tuple((str(r["term"]), *(number(r[c]) for c in COLUMNS[1:])) for r in leaving["terms"])


def measured_lines(measured: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The facts behind the findings, for a steward: label and value."""
    made = [(label, str(measured[key])) for key, label in _MEASURED.items() if key in measured]
    told = measured.get("influence")
    if told:
        shifts = told["shift"]
        made += [
            ("fewest people of equal weight behind a coefficient", f"{min(told['effective']):.1f}"),
            ("largest share of two people in a coefficient", f"{max(told['top2']):.1%}"),
            ("largest leverage of one person", f"{told['leverage']:.1%}"),
            (
                "largest change when one person leaves, in standard errors",
                "∞" if None in shifts else f"{max(shifts):.2f}",
            ),
        ]
    return tuple(made)
