"""What the gate needs from the rest, as narrow as it can be. `fakes.py` has a stand-in for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from egress_gate.disclosure.scan.judge import Evidence
from egress_gate.domain.finding import Finding
from egress_gate.domain.protection import SUPPRESS, Protection

if TYPE_CHECKING:  # `assess` judges without a database
    from sqlalchemy import Connection

    from ledger.verify import Leaf
    from policy_engine import Answer
    from store.database import Transaction
    from store.transaction import Receipt


class Store(Protocol):
    """`store.database.Database`: a transaction carries its ledger entries or is rolled back."""

    def transaction(self, at: datetime) -> AbstractContextManager[Transaction]: ...

    def read(self) -> AbstractContextManager[Connection]: ...

    def leaves(self) -> Iterator[Leaf]: ...


class Blobs(Protocol):
    """Bytes under their SHA-256; `read` hashes them again and raises when they are not what was put."""

    def put(self, data: bytes | Iterable[bytes], /) -> str: ...

    def read(self, digest: str, /) -> bytes: ...


class PolicyEngine(Protocol):
    """Raises `policy_engine.PolicyUnavailable` when there is no answer; the gate then does nothing."""

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer: ...


class DataVault(Protocol):
    """Opens sealed versions for a block: version → file → SHA-256 as registered. Raises a Fault; then nothing is open."""

    def opened(self, wanted: Mapping[str, Mapping[str, str]], /) -> AbstractContextManager[object]: ...


@dataclass(frozen=True)
class SourceTable:
    """A registered table an output may be derived from. `unit` None: each row is its own privacy unit."""

    dataset: str
    version: str
    classification: int
    stewards: tuple[str, ...]
    name: str
    path: Path
    digest: str
    unit: str | None
    columns: tuple[Mapping[str, str], ...]
    rows: int

    @property
    def key(self) -> str:
        return f"{self.dataset}.{self.name}"


def sealed(sources: Iterable[SourceTable]) -> dict[str, dict[str, str]]:
    """What the vault must open so that these tables can be read."""
    wanted: dict[str, dict[str, str]] = {}
    for table in sources:
        wanted.setdefault(table.version, {})[table.path.name] = table.digest
    return wanted


@dataclass(frozen=True)
class EarlierTable:
    """A table that already left from the same data. `suppressed`: keys that were not published; `revoked_at`: since when nobody gets a
    copy, which calls none back."""

    release: int
    request: int
    item: str
    sql: str
    suppressed: tuple[Mapping[str, Any], ...]
    rounding_base: int | None
    versions: tuple[str, ...] = ()
    method: str = (
        "suppress"  # round: to a neighbouring multiple of the base, either way; noise: no figure of it is exact
    )
    revoked_at: str | None = None


@dataclass(frozen=True)
class Question:
    """One derived table to judge."""

    name: str
    sql: str
    sources: tuple[SourceTable, ...]
    parameters: Mapping[str, Any]
    earlier: tuple[EarlierTable, ...] = ()
    expected: Mapping[str, Any] | None = None
    protect: bool = False
    rounding_base: int | None = None  # what its figures will be rounded to before they leave
    withheld: tuple[Mapping[str, Any], ...] = ()  # keys that the other tables of the request need hidden
    protection: Protection = SUPPRESS


@dataclass(frozen=True)
class ModelQuestion:
    """One regression to judge: its formula, the rows it is fitted to as SQL, and ols, logit or poisson."""

    name: str
    formula: str
    sql: str
    family: str
    sources: tuple[SourceTable, ...]
    parameters: Mapping[str, Any]
    earlier: tuple[EarlierTable, ...] = ()


@dataclass(frozen=True)
class JudgedCell:
    """One row of the recomputed table. A key's None means the total over that column."""

    key: Mapping[str, Any]
    values: Mapping[str, Any]
    contributors: int
    findings: tuple[str, ...] = ()
    suppressed: str | None = None
    released: Mapping[str, Any] | None = None  # the figures that leave, where they are rounded or carry noise
    left_out: bool = False  # by HAVING, though it could leave


@dataclass(frozen=True)
class AuditFinding:
    """What the joint audit says of one target: its feasible interval and the releases that narrow it."""

    target: str
    interval: tuple[str, str]
    collides_with: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Assessment:
    """The judgement's facts about one table. `completed` False: something could not be established, never a pass."""

    canonical_sql: str
    versions: tuple[str, ...]
    keys: tuple[str, ...]
    values: tuple[str, ...]
    cells: tuple[JudgedCell, ...]
    findings: tuple[Finding, ...]
    audit_verdict: str
    audit: tuple[AuditFinding, ...]
    completed: bool
    protected: bool
    seconds: Mapping[str, float] = field(default_factory=dict)
    rounding_base: int | None = None
    protection: Protection = SUPPRESS


@dataclass(frozen=True)
class ModelAssessment:
    """The judgement's facts about one regression. ``leaving``: the rounded fit, None when there is none; ``measured``: the evidence;
    ``implied``: the table of counts that the fit stands for, which the joint audit remembers."""

    formula: str
    canonical_sql: str
    versions: tuple[str, ...]
    findings: tuple[Finding, ...]
    completed: bool
    leaving: Mapping[str, Any] | None
    measured: Mapping[str, Any]
    implied: Assessment | None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScanQuestion:
    """A text to look for the data's values in: by part of the file, with the tables that a sandbox held."""

    texts: tuple[tuple[str, str], ...]
    sources: tuple[SourceTable, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ScanAnswer:
    """``share`` of the text that was looked at, as far as the limits go; ``opaque_bytes``: encoded and not readable."""

    evidence: Evidence
    share: float
    opaque_bytes: int
    tokens: int
    seconds: Mapping[str, float] = field(default_factory=dict)


class Recomputer(Protocol):
    """Parses and judges derived tables. Raises a `Fault` for SQL it refuses, `RecomputerAway` when it cannot run."""

    def parse(self, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, tuple[str, ...]]:
        """The canonical SQL and the dataset versions it reads."""
        ...

    def assess(self, question: Question, /) -> Assessment: ...

    def together(self, questions: Sequence[Question], /) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
        """By name of a question, the keys that must be hidden so that the tables, which leave together, protect each other.

        Nothing for what cannot be linked: the joint audit then judges it.
        """
        ...

    def parse_model(self, formula: str, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, str]:
        """The formula and the SQL of its rows, both written by the gate."""
        ...

    def refit(self, question: ModelQuestion, /) -> ModelAssessment: ...

    def scan(self, question: ScanQuestion, /) -> ScanAnswer:
        """Which values and records of the data the text holds; of the data itself nothing comes back."""
        ...


class Notary(Protocol):
    """Signs a release's statement with the installation's key; `ledger.certificate` checks it with the public one."""

    def seal(self, statement: bytes, receipt: Receipt, /) -> bytes: ...
