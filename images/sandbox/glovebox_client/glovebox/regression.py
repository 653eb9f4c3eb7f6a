"""Regressions that are fitted here for the eye, and by the gate for release.

fit = glovebox.ols("bmi ~ C(male) + age", "nafld1")
fit.summary(); fit.df(); fit.release(title="…", purpose="…")

The formula is the gate's own small language, which statsmodels' users know: names, C(name), C(name, Treatment("level")), I(…) with
numbers and + - * / **, log, exp, sqrt; + : * between terms; - 1 without intercept. What leaves is the gate's fit, never this one.
"""

from __future__ import annotations

import re
from typing import Any

from glovebox.errors import Mistake
from glovebox.measured import quoted, table_name
from glovebox.release import release
from glovebox.tables import sql, tables

_WORDS = re.compile(r"\"[^\"]*\"|'[^']*'|[A-Za-z_][A-Za-z0-9_]*(?:\s*[(=])?")
_OWN = frozenset({"C", "I", "Treatment", "log", "exp", "sqrt", "reference"})


class Regression:
    """A model and the rows it is fitted to. ``release_item`` is what `glovebox.release` sends."""

    def __init__(self, family: str, formula: str, rows: str) -> None:
        self.family = family
        self.formula = formula
        self.sql = rows if " " in rows.strip() or "\n" in rows.strip() else _rows(formula, rows.strip())
        self._fit: Any = None

    @property
    def release_item(self) -> dict[str, Any]:
        return {"kind": "regression", "sql": self.sql, "formula": self.formula, "family": self.family}

    def fit(self) -> Any:
        """The fit as statsmodels gives it; it stays in here. Where a person has several rows, the gate's own standard errors are wider: it
        clusters them by person."""
        if self._fit is None:
            self._fit = self._fitted()
        return self._fit

    def _fitted(self) -> Any:
        import numpy as np  # noqa: F401 - the formula's log, exp and sqrt are numpy's, found here by statsmodels
        import statsmodels.formula.api as smf

        frame = sql(self.sql).df().dropna(subset=sorted(columns_of(self.formula)))
        text = re.sub(r"\b(log|exp|sqrt)\s*\(", r"np.\1(", self.formula)
        model = getattr(smf, self.family)(text, frame)
        return model.fit(**({} if self.family == "ols" else {"disp": 0}))

    def df(self) -> Any:
        """The coefficients as pandas, computed here."""
        import pandas as pd

        fit = self.fit()
        interval = fit.conf_int()
        return pd.DataFrame(
            {
                "estimate": fit.params,
                "standard_error": fit.bse,
                "statistic": fit.tvalues,
                "p": fit.pvalues,
                "low": interval[0],
                "high": interval[1],
            }
        )

    def summary(self) -> Any:
        return self.fit().summary()

    def release(self, **words: Any) -> Any:
        """`glovebox.release` of this model: title, purpose, context. The gate fits it again and refuses what tells of few people."""
        return release({"regression1": self}, **words)

    def __repr__(self) -> str:
        return f"{self.family}: {self.formula}\n\n{self.df()!r}\n\n{self.sql}"

    def _repr_html_(self) -> str:
        html: str = self.df()._repr_html_()
        return html


def ols(formula: str, rows: str) -> Regression:
    """Least squares: ``glovebox.ols("bmi ~ C(male) + age", "nafld1")``.

    ``rows`` is a table's name or ``SELECT columns FROM … [JOIN …] [WHERE …]``.
    """
    return Regression("ols", formula, rows)


def logit(formula: str, rows: str) -> Regression:
    """Logistic regression of a column of 0 and 1: ``glovebox.logit("status ~ age + bmi", "nafld1")``. ``rows`` as in `ols`."""
    return Regression("logit", formula, rows)


def poisson(formula: str, rows: str) -> Regression:
    """Poisson regression of a column of counts: ``glovebox.poisson("visits ~ C(male) + age", "nafld1")``. ``rows`` as in `ols`."""
    return Regression("poisson", formula, rows)


def columns_of(formula: str) -> set[str]:
    """The columns that a formula names."""
    if "~" not in formula:
        raise Mistake("The formula has no ~.", "It says what is explained by what.", "outcome ~ variable + C(category)")
    words = (word.rstrip("(= \t") for word in _WORDS.findall(formula) if word[0] not in "\"'")
    return {word for word in words if word not in _OWN}


def _rows(formula: str, table: str) -> str:
    """The SELECT of what the formula names, from one table."""
    named = sorted(columns_of(formula))
    known = next((t.columns for t in tables() if table in (t.name, t.table)), None)
    missing = [name for name in named if known and name not in known]
    if missing:
        raise Mistake(
            f"{table} has no column {missing[0]}.",
            f"It has {', '.join(known or ())}.",
            "Correct the formula, or give SQL that makes the column.",
        )
    return f"SELECT {', '.join(map(quoted, named))}\nFROM {table_name(table)}"


__all__ = ["Regression", "logit", "ols", "poisson"]
