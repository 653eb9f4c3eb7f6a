"""Faults of the judgement.

Fault
├── SqlSyntax           it cannot be read as SQL
├── UnknownTable        a relation that is not granted
├── UnknownColumn       a column that the relation does not have
├── DerivationRefused   a construct outside the allow-list; names it and the nearest that is allowed
├── FormulaRefused      a regression's formula outside its small language
└── JudgementFault      a case that cannot be judged at all
"""

from __future__ import annotations

from installation.fault import Fault


class SqlSyntax(Fault):
    code = "sql-syntax"


class UnknownTable(Fault):
    code = "unknown-table"


class UnknownColumn(Fault):
    code = "unknown-column"


class DerivationRefused(Fault):
    code = "derivation-refused"


class FormulaRefused(Fault):
    code = "formula-refused"


class JudgementFault(Fault):
    code = "judgement"


def refused(construct: str, why: str, nearest: str) -> DerivationRefused:
    """A refusal that names the construct and shows the nearest thing that is allowed."""
    return DerivationRefused(f"The SQL was refused: {construct} is not allowed.", why=why, do=nearest)
