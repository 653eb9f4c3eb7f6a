"""How much of a fit rests on single units. Stand-alone: numpy and scipy.

With W the fit's weights, A = X'WX, and for each unit g the part A_g of A and its score s_g = X_g'(y_g - m_g), the estimate without g is
b - (A - A_g)^-1 s_g: exactly for least squares, in one Newton step else (Pregibon, Logistic regression diagnostics, 1981; for groups of
rows Belsley, Kuh and Welsch, Regression diagnostics, 1980). A coefficient is a weighted sum of people's outcomes, with weights in
proportion to the residual of its column given the others (Frisch and Waugh, 1933), so the field's dominance rule applies to them: the
share of the largest units, and the number of units of equal weight that would be as concentrated (1 / sum of squared shares).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linprog

MAX_NUMBERS = 20_000_000
MAX_DISTINCT = 20_000
CERTAIN = 1 - 1e-9


def of_units(x: Any, y: Any, weights: Any, residuals: Any, errors: Any, codes: Any) -> dict[str, Any]:
    """``leverage``: the largest of any unit; by coefficient ``effective`` units, shares ``top1`` and ``top2``, ``shift``: the largest
    change in standard errors when a unit leaves (None: it cannot be estimated without it); ``outcome``: the two largest units' share of
    the outcome's variation and of the residuals'."""
    order = np.argsort(codes, kind="stable")
    x, weights, residuals, codes = x[order], weights[order], residuals[order], codes[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    whole = (x * weights[:, None]).T @ x
    inverse = np.linalg.inv(whole)
    shares = np.add.reduceat((x @ inverse) ** 2 * weights[:, None], starts, axis=0)
    shares = shares / shares.sum(axis=0)
    largest = -np.partition(-shares, 1, axis=0)[:2] if len(starts) > 1 else np.vstack([shares, np.zeros_like(shares)])
    leverage, shift = _without_each(x, weights, residuals, starts, whole, errors)
    return {
        "leverage": leverage,
        "effective": [float(v) for v in 1 / (shares**2).sum(axis=0)],
        "top1": [float(v) for v in largest[0]],
        "top2": [float(v) for v in largest[:2].sum(axis=0)],
        "shift": [float(v) if np.isfinite(v) else None for v in shift],
        "outcome": max(_largest_two((y[order] - y.mean()) ** 2, starts), _largest_two(residuals**2, starts)),
    }


def _largest_two(squares: Any, starts: Any) -> float:
    of_unit = np.sort(np.add.reduceat(squares, starts))
    return float(of_unit[-2:].sum() / of_unit.sum())


def _without_each(x: Any, weights: Any, residuals: Any, starts: Any, whole: Any, errors: Any) -> tuple[float, Any]:
    """The largest leverage, and by coefficient the largest shift in standard errors, a block of units at a time."""
    width = x.shape[1]
    root = np.linalg.inv(np.linalg.cholesky(whole))
    ends = np.r_[starts[1:], len(x)]
    block = max(1, MAX_NUMBERS // (width * width * max(1, int((ends - starts).max()))))
    leverage, shift = 0.0, np.zeros(width)
    for first in range(0, len(starts), block):
        begin, end = starts[first : first + block], ends[first : first + block]
        rows = slice(int(begin[0]), int(end[-1]))
        local = begin - begin[0]
        outer = x[rows, :, None] * x[rows, None, :] * weights[rows, None, None]
        parts = np.add.reduceat(outer, local, axis=0)
        scores = np.add.reduceat(x[rows] * residuals[rows, None], local, axis=0)
        levers = np.linalg.eigvalsh(root @ parts @ root.T)[:, -1]
        leverage = max(leverage, float(levers.max()))
        free = levers < CERTAIN
        if not free.all():
            shift[:] = np.inf
        if free.any():
            change = np.linalg.solve(whole - parts[free], scores[free][:, :, None])[:, :, 0]
            shift = np.maximum(shift, np.abs(change / errors).max(axis=0))
    return leverage, shift


def worst(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several kinds of units, what looks worst for each fact."""
    first = dict(told[0])
    for other in told[1:]:
        first["leverage"] = max(first["leverage"], other["leverage"])
        first["outcome"] = max(first["outcome"], other["outcome"])
        for name, better in (("effective", min), ("top1", max), ("top2", max)):
            first[name] = [better(a, b) for a, b in zip(first[name], other[name], strict=True)]
        first["shift"] = [
            None if a is None or b is None else max(a, b) for a, b in zip(first["shift"], other["shift"], strict=True)
        ]
    return first


def separated(family: str, x: Any, y: Any) -> bool:
    """Whether a direction exists along which the likelihood never falls, so that no estimate is finite (Albert and Anderson, 1984;
    found by linear programming as in Konis, 2007). With very many different rows, the fit's own convergence has to tell."""
    rows = np.unique(np.column_stack([x, y]), axis=0)
    if len(rows) > MAX_DISTINCT:
        return False
    x, y = rows[:, :-1], rows[:, -1]
    none = x[y == 0]
    some = x[y > 0]
    if family == "logit":
        upper = np.vstack([none, -some])
        made = linprog(upper.sum(axis=0), A_ub=upper, b_ub=np.zeros(len(upper)), bounds=(-1, 1), method="highs")
    else:
        equal = {"A_eq": some, "b_eq": np.zeros(len(some))} if len(some) else {}
        if not len(none):
            return False
        made = linprog(none.sum(axis=0), A_ub=none, b_ub=np.zeros(len(none)), bounds=(-1, 1), method="highs", **equal)
    return bool(made.status != 0 or made.fun < -1e-7)
