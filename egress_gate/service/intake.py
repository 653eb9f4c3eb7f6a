"""Bringing data in from the desk: files that lie in the intake folder on the server, looked at, registered, confirmed.

The gate opens none of them. `workbench` hands in a port that reads them in a process of its own, through provisioning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, Protocol, cast

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Malformed, NotReady, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.hands import Provisioning
from egress_gate.store import sheets

log = logging.getLogger("glovebox.gate.intake")


@dataclass(frozen=True)
class IntakeFile:
    """A file that somebody put there. `delivered_at` is when it was last written; `sha256` is known of one that just arrived."""

    name: str
    bytes: int
    delivered_at: str
    sha256: str = ""


@dataclass(frozen=True)
class ScannedColumn:
    """`role` and `kind` are empty where the scan proposes nothing; `share` of the looked-at values in per cent, 0 by name only."""

    name: str
    type: str
    kind: str = ""
    role: str = ""
    share: int = 0


@dataclass(frozen=True)
class ScannedTable:
    """`effect`: how identifiable people are before and after masking, where a recipe was given that asks for it."""

    name: str
    file: str
    columns: tuple[ScannedColumn, ...]
    effect: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scan:
    """What was found in the first rows, and the level it speaks for."""

    tables: tuple[ScannedTable, ...]
    level: int


@dataclass(frozen=True)
class Server:
    """A database server. It has no room for options: a page names where and who, nothing else."""

    kind: str
    host: str
    port: int | None
    database: str
    account: str


@dataclass(frozen=True)
class FileOptions:
    """How a file, or a table of a `server`, becomes a table. `unit` None: each row is its own privacy unit.

    `sheet`: the worksheet or table of a file that holds several, or the server's table."""

    file: str
    table: str
    unit: str | None = None
    sheet: str = ""
    server: Server | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How sources are read. `password` is a server's: it is passed on, and kept nowhere."""

    encoding: str = ""
    delimiter: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Delivery:
    """What `./glovebox dataset add` is told, from a page. `confirmed`: that the level may be below the one its columns speak for.

    `recipe`: how it is masked for `project` on the way in, as `./glovebox dataset mask` takes it."""

    dataset: str
    title: str
    description: str
    provider: str
    level: int
    stewards: tuple[str, ...]
    files: tuple[FileOptions, ...]
    reading: Reading = Reading()
    missing: tuple[str, ...] = ()
    leave_out: int = 0
    confirmed: bool = False
    recipe: Mapping[str, Any] = field(default_factory=dict)
    project: str = ""


@dataclass(frozen=True)
class Job:
    """A registration that runs or ran: ``reading``, ``registered`` or ``refused``. `share` of it that is done, in per cent."""

    id: str
    dataset: str
    actor: str
    begun_at: str
    state: str
    table: str = ""
    share: int = 0
    version: str = ""
    fault: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()


class Arriving(Protocol):
    """A file on its way into the folder. It has no name there before `keep`; each raises a `Fault` where it cannot be done."""

    def write(self, chunk: bytes, /) -> None: ...

    def whole(self) -> IntakeFile:
        """What arrived, once it is all on the disk."""
        ...

    def keep(self) -> None: ...

    def end(self) -> None:
        """Close it; what was not kept is gone."""
        ...


class Intake(Protocol):
    """Each raises a `Fault` where it cannot be done."""

    def files(self) -> tuple[IntakeFile, ...]: ...

    @property
    def most_bytes(self) -> int:
        """Of a file that comes through a browser; 0 for none."""
        ...

    def receive(self, name: str, size: int, /) -> Arriving:
        """A place for a file of `size` bytes. Raises a Fault for a name, kind or size that is not taken."""
        ...

    def remove(self, name: str, /) -> IntakeFile: ...

    def scan(self, files: Sequence[FileOptions], reading: Reading, recipe: Mapping[str, Any], /) -> Scan:
        """The first rows, masked where there is a recipe."""
        ...

    def begin(self, delivery: Delivery, actor: str, /) -> str:
        """Start it in the background; its number. Raises a Fault while another one runs."""
        ...

    def job(self, number: str, /) -> Job | None: ...

    def jobs(self) -> tuple[Job, ...]:
        """Newest first."""
        ...


class _Nobody:
    def __getattr__(self, verb: str) -> Callable[..., NoReturn]:
        def refuse(*_: Any) -> NoReturn:
            raise NotReady(
                "Nothing was read.",
                why="This desk runs without an intake folder.",
                do="Use the command line: ./glovebox dataset add --help.",
            )

        return refuse


def no_intake() -> Intake:
    """Refuses everything: for a desk that was started without one."""
    return cast(Intake, _Nobody())


def may_register(gate: Gate, person: Person, at: datetime) -> None:
    """Raises NotAllowed for who may bring no data in."""
    may(gate.engine, person, "register_dataset", at).require("register a dataset")


def keep(arriving: Arriving, person: Person) -> IntakeFile:
    """The file gets its name in the folder. What is registered from it has its digest on the record; here it is logged."""
    found = arriving.whole()
    arriving.keep()
    log.info("%s sent %r to the intake folder: %d bytes, %s", person.name, found.name, found.bytes, found.sha256)
    return found


def remove(gate: Gate, intake: Intake, person: Person, name: str, at: datetime) -> None:
    """Delete a file of the folder: what was registered needs it no longer, and it lies there unsealed."""
    may_register(gate, person, at)
    gone = intake.remove(name)
    log.info("%s removed %r from the intake folder: %d bytes", person.name, gone.name, gone.bytes)


def scan(
    gate: Gate,
    intake: Intake,
    person: Person,
    files: Sequence[FileOptions],
    reading: Reading,
    at: datetime,
    recipe: Mapping[str, Any] | None = None,
) -> Scan:
    may_register(gate, person, at)
    if not files:
        raise Malformed("Nothing was read.", why="No file is chosen.", do="Choose at least one.")
    return intake.scan(files, reading, recipe or {})


def begin(gate: Gate, intake: Intake, person: Person, delivery: Delivery, at: datetime) -> str:
    """Begin a registration. It is on the record when it is done; what is refused leaves nothing."""
    may_register(gate, person, at)
    return intake.begin(delivery, person.name)


def job(gate: Gate, intake: Intake, person: Person, number: str, at: datetime) -> Job:
    may_register(gate, person, at)
    found = intake.job(number)
    if found is None:
        raise no_such("registration")
    return found


def describe(
    gate: Gate, hands: Provisioning, person: Person, dataset: str, parts: Mapping[str, Any], at: datetime
) -> None:
    """A steward says what the dataset is and confirms what its columns identify, and with it its level."""
    may_describe(gate, person, dataset, at)
    hands.describe_dataset(dataset, parts, person.name, at)


def may_describe(gate: Gate, person: Person, dataset: str, at: datetime) -> None:
    """Raises NotFound for who may not read the dataset's page, NotAllowed for who is no steward of it."""
    with gate.store.read() as c:
        found = sheets.sheet(c, dataset)
    about = {"name": dataset, "stewards": list(found.stewards) if found else []}
    if found is None or not may(gate.engine, person, "view_dataset", at, dataset=about).allow:
        raise no_such("dataset")
    may(gate.engine, person, "describe_dataset", at, dataset=about).require("describe this dataset")
