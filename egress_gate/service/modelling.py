"""A regression's judgement: fitted anew in the verifier, judged by itself, and judged again as the table that it stands for.

The score equations of a fit say how many people and how much outcome stand behind each level of its categories (McCullagh and Nelder,
Generalized linear models, 1989, section 2.5), so a model is refused where that table would be, and what left before is compared
with it by the same joint audit as every table.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.judge import TableFinding
from egress_gate.disclosure.regression.formula import Formula
from egress_gate.disclosure.regression.judge import ModelParameters, implied_sets, leaving, model_findings
from egress_gate.disclosure.regression.repeats import comparisons
from egress_gate.disclosure.regression.rows import ModelRows
from egress_gate.disclosure.rules import Parameters
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.ports import EarlierTable, ModelAssessment, ModelQuestion, Question
from egress_gate.verifier.port import Limits, ModelPlan, Runner, TableFile
from installation.fault import Fault

if TYPE_CHECKING:
    from egress_gate.service.ports import Recomputer

_JOINT = "joint_"


@dataclass(frozen=True)
class Refit:
    """What runs the questions: tables through the recomputer, the fit through the runner."""

    recomputer: Recomputer
    runner: Runner
    files: Sequence[TableFile]
    limits: Limits


def judged_model(
    question: ModelQuestion, formula: Formula, rows: ModelRows, known: Mapping[str, TableSchema], by: Refit
) -> ModelAssessment:
    """Raises the faults of `disclosure` and `verifier`."""
    begun = time.monotonic()
    rules, model = Parameters.read(question.parameters), ModelParameters.read(question.parameters)
    bare = rows.implied((), None)
    others = comparisons(bare, _readable(question.earlier, known))
    facts = by.runner.refit(
        ModelPlan(rows.measuring_sql(), formula.facts(), question.family, others), by.files, by.limits
    )
    fitted = time.monotonic()
    findings = [_finding(f) for f in model_findings(facts, rules, model)]
    levels, implied = None, None
    if facts.get("fit"):
        sets = implied_sets(formula, facts)
        levels = by.recomputer.assess(_asked(question, rows.implied(sets, formula.response.column), model, ()))
        implied = by.recomputer.assess(_asked(question, rows.implied(sets, None), model, question.earlier))
        findings += [f for f in levels.findings if f.severity is not Severity.INFO and not f.rule.startswith(_JOINT)]
        findings += [f for f in implied.findings if f.rule.startswith(_JOINT)]
    versions = sorted({t.version for t in question.sources if t.key in {s.key for s in rows.tables}})
    return ModelAssessment(
        formula=formula.text(),
        canonical_sql=rows.canonical_sql(),
        versions=tuple(versions),
        findings=tuple(findings),
        completed=all(a.completed for a in (levels, implied) if a is not None),
        leaving=leaving(facts, formula, question.family, model),
        measured={k: v for k, v in facts.items() if k != "fit"},
        implied=implied,
        seconds={"refit": fitted - begun, "rules": time.monotonic() - fitted},
    )


def _asked(
    question: ModelQuestion, table: Derivation, model: ModelParameters, earlier: tuple[EarlierTable, ...]
) -> Question:
    return Question(
        name=question.name,
        sql=table.canonical_sql(),
        sources=question.sources,
        parameters=question.parameters,
        earlier=earlier,
        rounding_base=model.count_base,
    )


def _readable(earlier: Sequence[EarlierTable], known: Mapping[str, TableSchema]) -> list[Derivation]:
    """What left before as far as it can still be read; the joint audit sends the rest to a person."""
    found: list[Derivation] = []
    for one in earlier:
        try:
            found.append(parse(one.sql, known))
        except Fault:
            continue
    return found


def _finding(found: TableFinding) -> Finding:
    figures: dict[str, Any] = dict(found.figures)
    return Finding(found.rule, Severity(found.severity), found.cells, figures)
