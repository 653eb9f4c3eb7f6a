"""The gate's recomputer: parse, measure in the sealed verifier, judge, audit. Where the gate meets `disclosure` and `verifier`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.judge import JudgedCell as Judged
from egress_gate.disclosure.judge import Judgement, judge
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.privacy import clipped, require_one_row_each
from egress_gate.disclosure.regression.formula import parse_formula
from egress_gate.disclosure.regression.rows import parse_rows
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.scan.judge import evidence_of
from egress_gate.disclosure.scan.tokens import scan_of
from egress_gate.disclosure.tabulation import Tabulation, tabulate
from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.protection import Method, Protection
from egress_gate.service.altered import Altered, noisy, require_counts, rounded
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.having import left_out
from egress_gate.service.joint import JointAudit, Universe, joint_audit
from egress_gate.service.modelling import Refit, judged_model
from egress_gate.service.noise import OpenDpMechanism
from egress_gate.service.ports import (
    Assessment,
    JudgedCell,
    ModelAssessment,
    ModelQuestion,
    Question,
    ScanAnswer,
    ScanQuestion,
    SourceTable,
)
from egress_gate.service.together import protect_request
from egress_gate.verifier.container import SealedContainer
from egress_gate.verifier.port import Limits, Measured, Runner, ScanPlan, TableFile, VerifierAway
from installation.settings import Settings

SEARCH_SECONDS = 10.0


class SealedRecomputer:
    """`service.ports.Recomputer` over a runner; by default the sealed container."""

    def __init__(
        self, settings: Settings, runner: Runner | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runner = runner or SealedContainer(settings)
        self._limits = Limits(memory=settings.sandbox.memory // 2)
        self._clock = clock
        self._mechanism = OpenDpMechanism()

    def parse(self, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, tuple[str, ...]]:
        """Canonical SQL and the dataset versions it reads. Raises the faults of `disclosure.errors`."""
        derivation = parse(sql, catalogue(sources))
        return derivation.canonical_sql(), versions(derivation, sources)

    def assess(self, question: Question, /) -> Assessment:
        """Raises RecomputerAway when the verifier could not run, the faults of `disclosure` and `verifier` when it refused."""
        begun = self._clock()
        derivation = parse(question.sql, catalogue(question.sources))
        asked = question.protection
        counted = self._counted_alike(derivation, question) if asked.method is Method.NOISE else derivation
        if asked.method is Method.ROUND:
            require_counts(derivation)
        measured, table = self._measure(counted, question.sources)
        computed = self._clock()
        deadline = computed + SEARCH_SECONDS
        rules = Parameters.read(question.parameters)
        judged = judge(
            derivation,
            table,
            rules,
            protect=question.protect and asked.method is Method.SUPPRESS,
            left=lambda: max(0.0, deadline - self._clock()),
            expected=question.expected,
            withheld=question.withheld,
            small_share=float(question.parameters.get("small_cells_percent", 50)) / 100,
            small_allowed=int(question.parameters.get("small_cells_allowed", 5)),
        )
        decided = self._clock()
        altered = self._altered(counted, table, judged, asked, lambda: max(0.0, deadline - self._clock()))
        audit = self._audit(derivation, altered.judged, question, rules)
        seconds = {
            "recompute": computed - begun,
            "rules": decided - computed,
            "audit": self._clock() - decided,
            **measured.seconds,
        }
        return _assessment(derivation, question, altered, audit, seconds)

    def _counted_alike(self, derivation: Derivation, question: Question) -> Derivation:
        """The table as noise can protect it: sums clipped, and over a table in which every row is another person's."""
        bounded = clipped(derivation, question.protection.bounds)
        source = derivation.tables[0]
        if source.unit is not None:
            whole = parse(f'SELECT count(*) AS n FROM "{source.dataset}"."{source.name}"', catalogue(question.sources))  # noqa: S608 - a registered name
            _, found = self._measure(whole, question.sources)
            require_one_row_each(sum(c.rows for c in found.cells), sum(c.contributors for c in found.cells))
        return bounded

    def _altered(
        self, derivation: Derivation, table: Tabulation, judged: Judgement, asked: Protection, left: Callable[[], float]
    ) -> Altered:
        if asked.method is Method.ROUND and asked.base is not None:
            return rounded(derivation, table, judged, asked.base, left)
        if asked.method is Method.NOISE:
            return noisy(derivation, table, judged, asked, self._mechanism)
        return Altered(judged, ())

    def _audit(self, derivation: Derivation, judged: Judgement, question: Question, rules: Parameters) -> JointAudit:
        """Noise composes by its budget and leaves the exact releases as they are; everything else is audited with them."""
        if question.protection.method is Method.NOISE:
            return JointAudit("proven_safe")
        base = question.protection.base or question.rounding_base
        controlled = question.protection.method is Method.ROUND
        universe = self._universe(question.sources)
        return joint_audit(derivation, judged, question.earlier, rules, universe, base, controlled=controlled)

    def together(self, questions: Sequence[Question], /) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
        """Raises RecomputerAway when the verifier could not run."""
        if not questions:
            return {}
        universe = self._universe(questions[0].sources)
        return protect_request(questions, universe, lambda one: self._measure(one, questions[0].sources)[1])

    def parse_model(self, formula: str, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, str]:
        """Raises the faults of `disclosure.errors`."""
        read = parse_formula(formula)
        return read.text(), parse_rows(sql, catalogue(sources), read).canonical_sql()

    def refit(self, question: ModelQuestion, /) -> ModelAssessment:
        """Raises RecomputerAway when the verifier could not run, the faults of `disclosure` and `verifier` when it refused."""
        formula = parse_formula(question.formula)
        rows = parse_rows(question.sql, catalogue(question.sources), formula)
        used = {t.key for t in rows.tables}
        files = [_file(t) for t in question.sources if t.key in used]
        try:
            return judged_model(
                question, formula, rows, catalogue(question.sources), Refit(self, self._runner, files, self._limits)
            )
        except VerifierAway as away:
            raise RecomputerAway(away.what, why=away.why, do=away.do, private=away.private) from away

    def scan(self, question: ScanQuestion, /) -> ScanAnswer:
        """Raises RecomputerAway when the verifier could not run, VerifierRefused when it could not finish."""
        begun = self._clock()
        read = scan_of(question.texts)
        rare = int(question.parameters["min_contributors"])
        plan = ScanPlan(tuple((t.kind, t.value) for t in read.tokens), tuple(read.windows), rare)
        try:
            found = self._runner.scan(plan, [_file(t) for t in question.sources], self._limits)
        except VerifierAway as away:
            raise RecomputerAway(away.what, why=away.why, do=away.do, private=away.private) from away
        seen = 1 - int(found["unseen"]) / max(1, len(read.windows))
        evidence = evidence_of(read, found, rare)
        seconds = {"scan": self._clock() - begun}
        return ScanAnswer(evidence, min(read.share, seen), read.opaque_bytes, len(read.tokens), seconds)

    def _universe(self, sources: Sequence[SourceTable]) -> Universe:
        files = [_file(t) for t in sources]
        pinned = {t.dataset: t.version for t in sources}
        return Universe(catalogue(sources), files, pinned, self._runner, self._limits, self._clock)

    def _measure(self, derivation: Derivation, sources: Sequence[SourceTable]) -> tuple[Measured, Tabulation]:
        files = [_file(t) for t in sources if t.key in {s.key for s in derivation.tables}]
        try:
            measured = self._runner.measure(plan(derivation), files, self._limits)
        except VerifierAway as away:
            raise RecomputerAway(away.what, why=away.why, do=away.do, private=away.private) from away
        return measured, tabulate(derivation, measured.values, measured.statistics)


def catalogue(sources: Sequence[SourceTable]) -> dict[str, TableSchema]:
    """The granted tables as a derivation sees them."""
    return {
        t.key: TableSchema(t.dataset, t.name, {str(c["name"]): str(c.get("type", "")) for c in t.columns}, t.unit)
        for t in sources
    }


def versions(derivation: Derivation, sources: Sequence[SourceTable]) -> tuple[str, ...]:
    used = {t.key for t in derivation.tables}
    return tuple(sorted({t.version for t in sources if t.key in used}))


def _file(table: SourceTable) -> TableFile:
    return TableFile(table.dataset, table.name, table.path, table.unit)


def _assessment(
    derivation: Derivation, question: Question, altered: Altered, audit: JointAudit, seconds: Mapping[str, float]
) -> Assessment:
    judged = altered.judged
    findings = [Finding(f.rule, Severity(f.severity), f.cells, dict(f.figures)) for f in judged.findings]
    released = altered.released or (None,) * len(judged.cells)
    unwanted = left_out(derivation, judged.cells, altered.released)
    return Assessment(
        canonical_sql=derivation.canonical_sql(),
        versions=versions(derivation, question.sources),
        keys=tuple(k.name for k in derivation.keys),
        values=tuple(a.name for a in derivation.aggregates),
        cells=tuple(map(_cell, judged.cells, released, unwanted)),
        findings=(*findings, *audit.findings),
        audit_verdict=audit.verdict,
        audit=audit.details,
        completed=judged.completed and audit.completed,
        protected=judged.protected,
        seconds=dict(seconds),
        rounding_base=question.protection.base or question.rounding_base,
        protection=question.protection,
    )


def _cell(judged: Judged, released: Mapping[str, Any] | None, unwanted: bool) -> JudgedCell:
    cell = judged.cell
    key = cell.published_key
    return JudgedCell(key, dict(cell.values), cell.contributors, judged.rules, judged.suppressed, released, unwanted)
