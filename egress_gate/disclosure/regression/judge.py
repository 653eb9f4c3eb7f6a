"""What a refitted model breaks, and what of it may leave. Pure: measured facts in, findings and rounded figures out.

Sources: residual degrees of freedom, SACRO's statistical barns ("correlation coefficients": at least ten) and the ABS DataLab output rules;
saturated models, Handbook on Statistical Disclosure Control (2nd ed.), section on regressions; leverage and influence, see
`egress_gate.verifier.influence`. All thresholds come from policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.judge import FAIL, INFO, WARN, TableFinding
from egress_gate.disclosure.regression.formula import Formula
from egress_gate.disclosure.rules import Parameters

FAMILIES = ("ols", "logit", "poisson")
# what the refit could not judge: the finding that says so
REFUSALS = {
    "nobody": "min_contributors",
    "rows of nobody": "min_contributors",
    "separation": "separation",
    "not converged": "separation",
    "constant": "degenerate",
    "exact": "degenerate",
    "collinear": "degenerate",
}
UNFIT = "unfit"


@dataclass(frozen=True)
class ModelParameters:
    """The policy's numbers for regressions. ``leverage`` and ``shift`` are fractions: of a whole, and of a standard error."""

    residual_df: int
    leverage: float
    shift: float
    count_base: int
    digits: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ModelParameters:
        """From policy's answer. Raises JudgementFault for a missing or impossible number."""
        try:
            found = raw["regression"]
            made = cls(
                int(found["min_residual_df"]),
                float(found["max_leverage_percent"]) / 100,
                float(found["max_shift_percent"]) / 100,
                int(found["count_base"]),
                int(found["digits"]),
            )
        except (KeyError, TypeError, ValueError) as broken:
            raise _unreadable("The parameters for regressions are incomplete.") from broken
        if (
            made.residual_df < 1
            or not 0 < made.leverage < 1
            or made.shift <= 0
            or made.count_base < 1
            or made.digits < 1
        ):
            raise _unreadable("A parameter for regressions is outside what the rules know.")
        return made


def _unreadable(why: str) -> JudgementFault:
    return JudgementFault(
        "The model could not be judged.",
        why=why,
        do="An administrator has to correct the policy's data for this level.",
    )


def model_findings(facts: Mapping[str, Any], rules: Parameters, model: ModelParameters) -> tuple[TableFinding, ...]:
    """Every rule that the fit breaks by itself; levels and earlier releases are judged by the table that it implies."""
    if "refused" in facts:
        word = str(facts["refused"])
        return (TableFinding(REFUSALS.get(word, UNFIT), FAIL, 0, {"why": word}),)
    found = []
    if facts["units"] < rules.min_contributors:
        found.append(TableFinding("min_contributors", FAIL, 0, {"contributors": facts["units"]}))
    if facts["residual_df"] < model.residual_df:
        found.append(TableFinding("degrees_of_freedom", FAIL, 0, {"degrees": facts["residual_df"]}))
    if facts["fit"] is None:
        return tuple(found)
    return (*found, *_saturation(facts, model), *_influence(facts["influence"], rules, model), *_repeats(facts, rules))


def _saturation(facts: Mapping[str, Any], model: ModelParameters) -> list[TableFinding]:
    """As many different rows of the design as coefficients: the fit is a table of means under another name."""
    free = facts["patterns"] - facts["columns"]
    figures = {"patterns": facts["patterns"], "coefficients": facts["columns"]}
    if free <= 0:
        return [TableFinding("saturated", FAIL, facts["columns"], figures)]
    return [TableFinding("saturated", WARN, 0, figures)] if free < model.residual_df else []


def _influence(told: Mapping[str, Any], rules: Parameters, model: ModelParameters) -> list[TableFinding]:
    found = []
    few = [n for n in told["effective"] if n < rules.min_contributors]
    if few:
        found.append(TableFinding("influence", FAIL, len(few), {"effective_contributors": round(min(few), 2)}))
    share = told["top1"] if rules.dominance_n == 1 else told["top2"]
    held = [s for s in share if s >= rules.dominance_k]
    if held:
        found.append(TableFinding("influence", FAIL, len(held), {"largest_share": round(max(held), 4)}))
    if told["leverage"] >= model.leverage:
        found.append(TableFinding("influence", FAIL, 1, {"leverage": round(told["leverage"], 4)}))
    shifted = [s for s in told["shift"] if s is None or s > model.shift]
    if shifted:
        worst = math.inf if None in shifted else max(s for s in shifted if s is not None)
        shown = round(worst, 4) if math.isfinite(worst) else None
        found.append(TableFinding("influence", FAIL, len(shifted), {"shift_in_standard_errors": shown}))
    if told["outcome"] >= rules.dominance_k:
        found.append(TableFinding("dominance", FAIL, 0, {"share_of_variation": round(told["outcome"], 4)}))
    return found


def _repeats(facts: Mapping[str, Any], rules: Parameters) -> list[TableFinding]:
    """Models before this one from almost the same people: their difference is those few."""
    near = [n for n in facts.get("differing", []) if 0 < n < rules.min_contributors]
    return [TableFinding("joint_narrow", FAIL, len(near), {"differing_units": min(near)})] if near else []


def implied_sets(formula: Formula, facts: Mapping[str, Any]) -> tuple[frozenset[str], ...]:
    """For each term, the columns whose levels it tells apart: categories, and numbers with two values, which are categories too."""
    kinds = {*facts["categorical"], *facts["binary"]}
    column = {f.label: f.column for f in formula.factors}
    sets = [frozenset(c for label in term if (c := column[label]) in kinds) for term in formula.terms]
    return tuple(dict.fromkeys(frozenset(c for c in chosen if c) for chosen in sets if chosen))


def implied_findings(findings: tuple[TableFinding, ...]) -> tuple[TableFinding, ...]:
    """What the implied table breaks counts against the model: it cannot be protected by leaving a level out."""
    return tuple(f for f in findings if f.severity != INFO)


def leaving(facts: Mapping[str, Any], formula: Formula, family: str, model: ModelParameters) -> dict[str, Any] | None:
    """The rounded fit, or None when there is none. Counts are rounded to the policy's base, figures to its significant digits."""
    fit = facts.get("fit")
    if not fit:
        return None
    columns = ("estimate", "standard_error", "statistic", "low", "high")
    terms = []
    for place, name in enumerate(fit["names"]):
        row = {"term": name, **{c: significant(fit[c][place], model.digits) for c in columns}}
        terms.append({**row, "p": round(fit["p"][place], model.digits)})
    return {
        "format": "glovebox-regression/1",
        "family": family,
        "formula": formula.text(),
        "covariance": fit["covariance"],
        "distribution": "t" if fit["t"] else "normal",
        "observations": _to_base(facts["observations"], model.count_base),
        "units": _to_base(facts["units"], model.count_base),
        "counts_rounded_to": model.count_base,
        "model_df": facts["columns"] - (1 if () in formula.terms else 0),
        "residual_df": _to_base(facts["residual_df"], model.count_base),
        "r_squared": significant(fit["r_squared"], model.digits),
        "deviance": significant(fit["deviance"], model.digits),
        "significant_digits": model.digits,
        "terms": terms,
    }


def significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _to_base(count: int, base: int) -> int:
    return base * round(count / base)
