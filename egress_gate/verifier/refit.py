"""Fits a regression anew and measures what it tells of single units. Stand-alone: beside it `execute.py` and `influence.py`, duckdb, numpy,
scipy, statsmodels; the same files in the sealed container and outside.

Reads one JSON job on standard input, writes one JSON answer on standard output. The formula comes as lists (`disclosure.regression`) and is
worked out by `computed` below; nothing of it is ever evaluated as Python. An error's public text never holds data.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import statsmodels.api as sm
from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning


def beside(name: str) -> Any:
    """The program of this name in the same folder, wherever that is mounted."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute, influence = beside("execute"), beside("influence")

MAX_LEVELS = 60
MAX_DESIGN = 80
MAX_NUMBERS = 40_000_000
_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
}
_UNARY = {"neg": np.negative, "log": np.log, "exp": np.exp, "sqrt": np.sqrt}


class Refusal(Exception):
    """What the model cannot be judged for: a word for the gate, never data."""


def main() -> int:
    raw = sys.stdin.buffer.read(execute.MAX_JOB + 1)
    if len(raw) > execute.MAX_JOB:
        return int(execute.answer({"error": "too-large", "what": "The job is too large."}))
    job = json.loads(raw)
    timer = threading.Timer(float(job["limits"]["seconds"]), _out_of_time)
    timer.daemon = True
    timer.start()
    try:
        made = run(job)
    except Refusal as why:
        made = {"refused": str(why)}
    except (MemoryError, duckdb.OutOfMemoryException):
        made = {"error": "memory", "what": "The model needed more memory than its limit."}
    except duckdb.Error as broken:
        what = f"The engine refused it ({type(broken).__name__})."
        made = {"error": "engine", "what": what, "private": str(broken)[:2000]}
    return int(execute.answer(made))


def _out_of_time() -> None:
    execute.answer({"error": "time", "what": "The model took longer than its limit."})
    os._exit(1)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """The facts of one fit. Raises Refusal, duckdb.Error."""
    with duckdb.connect(":memory:") as con:
        execute.prepare(con, job["tables"], job["limits"])
        differing = [int(execute.fetch(con, one, 1)[0][0]) for one in job["others"]]
        columns, units = read(con, job)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {"differing": differing, **facts(job, columns, units)}


def read(con: duckdb.DuckDBPyConnection, job: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The rows as columns, and for each kind of unit every row's number of it."""
    found = con.execute(job["rows"])
    kinds = {d[0]: str(d[1]) for d in found.description or []}
    raw = found.fetchnumpy()
    hidden = [name for name in raw if name.startswith("__u")]
    if not len(raw[hidden[0]]):
        raise Refusal("nobody")
    columns = {name: _column(raw[name], kinds[name]) for name in raw if name not in hidden}
    units = []
    for name in hidden:
        values: Any = raw[name]
        filled: Any = np.ma.getdata(values)
        if np.ma.getmaskarray(values).any():
            raise Refusal("rows of nobody")
        units.append(np.unique(filled.astype(str) if filled.dtype == object else filled, return_inverse=True)[1])
    return columns, units


def _column(values: Any, kind: str) -> Any:
    """Text and yes or no stay categories; all else is a number."""
    plain = np.ma.getdata(values)
    if plain.dtype == object and all(not isinstance(v, str) for v in plain[:1000]):
        return plain.astype(float)
    if plain.dtype == object or kind == "VARCHAR":
        return plain.astype(str)
    if plain.dtype == bool:
        return plain
    if plain.dtype.kind in "iuf":
        return plain
    raise Refusal("type")


def computed(node: list[Any], columns: dict[str, Any]) -> Any:
    """A node's value for every row. Raises Refusal for text in arithmetic."""
    kind = node[0]
    if kind == "name":
        values = columns[node[1]]
        if values.dtype.kind == "U":
            raise Refusal("text in arithmetic")
        return values.astype(float)
    if kind == "number":
        return float(node[1])
    if kind in _UNARY:
        return _UNARY[kind](computed(node[1], columns))
    return _BINARY[kind](computed(node[1], columns), computed(node[2], columns))


class Coded:
    """One factor: its numbers, or its levels and every row's level."""

    def __init__(self, factor: dict[str, Any], columns: dict[str, Any], size: int) -> None:
        self.label = factor["label"]
        values = columns[factor["node"][1]] if factor["node"][0] == "name" else None
        own = values is not None and values.dtype.kind in "Ub"
        self.categorical = factor["categorical"] is True or (factor["categorical"] is None and own)
        self.column = factor["node"][1] if values is not None else None
        self.binary = False
        if not self.categorical:
            self.numbers = np.broadcast_to(np.asarray(computed(factor["node"], columns), dtype=float), (size,))
            if not np.isfinite(self.numbers).all():
                raise Refusal("not a number")
            self.binary = self.column is not None and len(np.unique(self.numbers)) <= 2
            return
        levels, self.codes = np.unique(np.asarray(values), return_inverse=True)
        if not 2 <= len(levels) <= MAX_LEVELS:
            raise Refusal("levels")
        self.levels = [level_text(one) for one in levels]
        self.base = 0 if factor["reference"] is None else self._place(factor["reference"])

    def _place(self, reference: str) -> int:
        if reference not in self.levels:
            raise Refusal("reference")
        return self.levels.index(reference)

    def coded(self, *, reduced: bool) -> list[tuple[str, Any]]:
        """Columns by name: treatment contrasts when `reduced`, else one for each level (names as statsmodels gives them)."""
        if not self.categorical:
            return [(self.label, self.numbers)]
        if reduced:
            kept = [(i, f"{self.label}[T.{one}]") for i, one in enumerate(self.levels) if i != self.base]
        else:
            kept = [(i, f"{self.label}[{one}]") for i, one in enumerate(self.levels)]
        return [(name, (self.codes == i).astype(float)) for i, name in kept]


def level_text(level: Any) -> str:
    return str(level.item()) if hasattr(level, "item") else str(level)


def design(job: dict[str, Any], coded: dict[str, Coded], size: int) -> tuple[list[str], Any]:
    """The design matrix. A categorical factor of a term is coded by contrasts when the term without it is in the model, else in full
    (the rule of R's model.matrix)."""
    terms = [tuple(term) for term in job["formula"]["terms"]]
    present = {frozenset(term) for term in terms}
    names: list[str] = []
    columns: list[Any] = []
    for term in terms:
        made: list[tuple[str, Any]] = [("", np.ones(size))]
        for label in term:
            reduced = frozenset(term) - {label} in present
            one = coded[label].coded(reduced=reduced)
            made = [(f"{a}:{b}" if a else b, x * y) for b, y in one for a, x in made]
            if len(made) + len(names) > MAX_DESIGN or (len(made) + len(names)) * size > MAX_NUMBERS:
                raise Refusal("too wide")
        names += [name or "Intercept" for name, _ in made]
        columns += [x for _, x in made]
    return names, np.column_stack(columns)


def facts(job: dict[str, Any], columns: dict[str, Any], units: list[Any]) -> dict[str, Any]:
    """Everything the gate judges by, and the fit itself, unrounded."""
    size = len(units[0])
    y = np.asarray(computed(job["formula"]["response"]["node"], columns), dtype=float)
    coded = {f["label"]: Coded(f, columns, size) for f in job["formula"]["factors"]}
    names, x = design(job, coded, size)
    outcome(job["family"], y)
    scale = np.abs(x).max(axis=0)
    if not (scale > 0).all() or np.linalg.matrix_rank(x / scale) < x.shape[1]:
        raise Refusal("collinear")
    people = [int(codes.max()) + 1 for codes in units]
    if min(size, *people) <= x.shape[1]:
        return {"observations": size, "units": min(people), "residual_df": min(size, *people) - x.shape[1], "fit": None}
    if job["family"] != "ols" and influence.separated(job["family"], x / scale, y):
        raise Refusal("separation")
    patterns = len(np.unique(x, axis=0))
    fit, weights, residuals = fitted(job["family"], x, y, units[int(np.argmin(people))])
    told = [influence.of_units(x, y, weights, residuals, np.asarray(fit.bse), codes) for codes in units]
    return {
        "observations": size,
        "units": min(people),
        "residual_df": min(size, *people) - x.shape[1],
        "patterns": patterns,
        "columns": x.shape[1],
        "categorical": sorted({c.column for c in coded.values() if c.categorical and c.column}),
        "binary": sorted({c.column for c in coded.values() if c.binary and c.column}),
        "influence": influence.worst(told),
        "fit": described(job["family"], fit, names, y, x.shape[1]),
    }


def outcome(family: str, y: Any) -> None:
    if not np.isfinite(y).all():
        raise Refusal("not a number")
    if y.min() == y.max():
        raise Refusal("constant")
    if family == "logit" and not np.isin(y, (0.0, 1.0)).all():
        raise Refusal("outcome not 0 and 1")
    if family == "poisson" and ((y < 0).any() or (y != np.round(y)).any()):
        raise Refusal("outcome not a count")


def fitted(family: str, x: Any, y: Any, codes: Any) -> tuple[Any, Any, Any]:
    """The fit by statsmodels with its weights and residuals; clustered by unit where a unit has several rows."""
    several = len(codes) > int(codes.max()) + 1
    robust = {"cov_type": "cluster", "cov_kwds": {"groups": codes}, "use_t": True} if several else {}
    if family == "ols":
        fit = sm.OLS(y, x).fit(**robust)
        if float(fit.ssr) <= 1e-12 * float(((y - y.mean()) ** 2).sum()):
            raise Refusal("exact")
        return fit, np.ones(len(y)), y - x @ fit.params
    model = sm.Logit(y, x) if family == "logit" else sm.Poisson(y, x)
    try:
        fit = model.fit(disp=0, maxiter=200, **robust)
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError):
        raise Refusal("separation") from None
    if not fit.mle_retvals["converged"] or not np.isfinite(fit.bse).all():
        raise Refusal("not converged")
    eta = x @ fit.params
    mean = 1 / (1 + np.exp(-eta)) if family == "logit" else np.exp(eta)
    weights = mean * (1 - mean) if family == "logit" else mean
    return fit, weights, y - mean


def described(family: str, fit: Any, names: list[str], y: Any, width: int) -> dict[str, Any]:
    interval = np.asarray(fit.conf_int())
    made = {
        "names": names,
        "estimate": [float(v) for v in fit.params],
        "standard_error": [float(v) for v in fit.bse],
        "statistic": [float(v) for v in fit.tvalues],
        "p": [float(v) for v in fit.pvalues],
        "low": [float(v) for v in interval[:, 0]],
        "high": [float(v) for v in interval[:, 1]],
        "covariance": "clustered by unit" if fit.cov_type == "cluster" else "nonrobust",
        "t": bool(fit.use_t),
    }
    if family == "ols":
        return {**made, "r_squared": float(fit.rsquared), "deviance": float(fit.ssr)}
    deviance = -2 * float(fit.llf)
    if family == "poisson":
        mean = np.asarray(fit.predict())
        ratio = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mean), 0.0)
        deviance = 2 * float((ratio - (y - mean)).sum())
    return {**made, "r_squared": float(fit.prsquared), "deviance": deviance}


if __name__ == "__main__":
    sys.exit(main())
