"""One factory makes a request at any state through the real verbs, on a real store with stand-ins for the engines."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, select

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service.check import check, claim
from egress_gate.service.deliver import revoke
from egress_gate.service.fakes import FakeEngine, FakeInUse, FakeRecomputer, PlainData
from egress_gate.service.gate import Gate
from egress_gate.service.notary import LedgerNotary
from egress_gate.service.release import prepare, release
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import Caller, Draft, caller, submit, withdraw
from egress_gate.store import requests
from egress_gate.store.requests import RequestRow
from installation.settings import Settings
from ledger import keys
from ledger.entry import Entry
from ledger.note import Verifier
from store import schema as s
from store.blobs import Blobs
from store.clock import stamp
from store.database import Database, Transaction

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SAFE = "SELECT sex, count(*) AS n FROM nafld1 GROUP BY sex"
SMALL = "SELECT sex, count(*) AS n FROM nafld1 WHERE small GROUP BY sex"
RAW = "SELECT raw FROM nafld1"

ANA = Person("ana", frozenset({"analysts"}))
AMIR = Person("amir", frozenset({"analysts"}))
STELLA = Person("stella", frozenset({"stewards"}))
STEFAN = Person("stefan", frozenset({"stewards"}))
ADAM = Person("adam", frozenset({"admins"}))
AUDREY = Person("audrey", frozenset({"auditors"}))
NOBODY = Person("nobody", frozenset())


@dataclass
class Ticking:
    """A clock that moves a second each time it is asked."""

    moment: datetime = START

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment

    def skip(self, **span: float) -> None:
        self.moment += timedelta(**span)


@dataclass
class World:
    """An installation with one dataset, one project, a member, two stewards and a running sandbox."""

    gate: Gate
    engine: FakeEngine
    recomputer: FakeRecomputer
    settings: Settings
    database: Database
    clock: Ticking = field(default_factory=Ticking)

    @property
    def ana(self) -> Caller:
        return caller(self.gate, "5a")

    def draft(self, sql: str = SAFE, **words: str) -> Draft:
        texts = {"title": "Sex ratio", "purpose": "A table for the paper", "context": "Table 1", **words}
        return Draft(**texts, items=(Item("table1", Kind.TABLE, sql=sql),))

    def submitted(self, sql: str = SAFE, **words: str) -> RequestRow:
        return submit(self.gate, self.ana, self.draft(sql, **words), self.clock())

    def checking(self, sql: str = SAFE, **words: str) -> RequestRow:
        held = claim(self.gate, self.submitted(sql, **words).id, self.clock())
        assert held is not None
        return held

    def checked(self, sql: str = SAFE, **words: str) -> RequestRow:
        return check(self.gate, self.checking(sql, **words), self.clock())

    def reviewed(
        self, row: RequestRow, verdict: ReviewVerdict = ReviewVerdict.APPROVE, by: Person = STELLA
    ) -> RequestRow:
        return review(self.gate, by, row.id, Opinion(verdict, "Looked at it."), self.clock(), row.revision)

    def prepared(self, row: RequestRow) -> RequestRow:
        held = prepare(self.gate, row.id, self.clock())
        assert held is not None
        return held

    def released(self, sql: str = SAFE, **words: str) -> RequestRow:
        approved = self.reviewed(self.checked(sql, **words))
        return release(self.gate, self.prepared(approved), self.clock())

    def at(self, state: State) -> RequestRow:
        """A request in `state`, made by the verbs that lead there."""
        made = {
            State.SUBMITTED: self.submitted,
            State.CHECKING: self.checking,
            State.REFUSED: lambda: self.submitted(RAW),
            State.IN_REVIEW: self.checked,
            State.RETURNED: lambda: self.reviewed(self.checked(), ReviewVerdict.RETURN),
            State.APPROVED: lambda: self.reviewed(self.checked()),
            State.REJECTED: lambda: self.reviewed(self.checked(), ReviewVerdict.REJECT),
            State.RELEASING: lambda: self.prepared(self.reviewed(self.checked())),
            State.RELEASED: self.released,
            State.REVOKED: self._revoked,
            State.WITHDRAWN: lambda: withdraw(self.gate, ANA, self.submitted().id, self.clock()),
            State.EXPIRED: self._expired,
        }[state]()
        assert made.state is state
        return made

    def _revoked(self) -> RequestRow:
        row = self.released()
        revoke(self.gate, STELLA, self.release_of(row), "A mistake was found.", self.clock())
        return self.row(row.id)

    def _expired(self) -> RequestRow:
        from egress_gate.service.expire import expire

        row = self.reviewed(self.checked(), ReviewVerdict.RETURN)
        return expire(self.gate, row.id, self.clock())

    def release_of(self, row: RequestRow) -> int:
        with self.gate.store.read() as c:
            found = c.execute(select(s.release.c.id).where(s.release.c.request == row.id)).scalar_one()
        return int(found)

    def row(self, number: int) -> RequestRow:
        with self.gate.store.read() as c:
            found = requests.fetch(c, number)
        assert found is not None
        return found

    def entries(self, kind: str | None = None) -> list[dict[str, object]]:
        with self.gate.store.read() as c:
            rows = c.execute(select(s.ledger_entry).order_by(s.ledger_entry.c.seq)).all()
        return [json.loads(r.body) for r in rows if kind in (None, r.kind)]


def make_world(home: Path, approvals: int = 1) -> World:
    """A fresh installation under `home`."""
    settings = Settings(home=home)
    home.mkdir(parents=True, exist_ok=True)
    database = Database.open(settings)
    with database.transaction(START) as t:
        seed(t)
        t.record(Entry("project.created", "adam", {"project": "liver"}, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FakeInUse)
        engine, recomputer, plain = FakeEngine(approvals=approvals), FakeRecomputer(), PlainData()
    gate = Gate(
        database,
        Blobs(settings.blobs),
        engine,
        recomputer,
        LedgerNotary(settings.secrets / "ledger.key"),
        settings.datasets,
        plain,
        ledger_key(settings),
    )
    return World(gate, engine, recomputer, settings, database)


def ledger_key(settings: Settings) -> Verifier:
    return keys.public(settings.home / "ledger.pub")


def seed(t: Transaction) -> None:
    """Provisioning's rows, as its own verbs would leave them."""
    now, later = stamp(START), stamp(START + timedelta(days=365))
    columns = json.dumps([{"name": n, "type": "BIGINT", "meaning": ""} for n in ("id", "age", "sex", "weight")])
    t.execute(insert(s.person), [{"name": n, "uid": 20000 + i} for i, n in enumerate(("ana", "amir", "stella"))])
    dataset = {"title": "NAFLD", "description": "", "provider": "clinic", "classification": 3}
    t.execute(insert(s.dataset).values(name="nafld", registered_at=now, registered_by="adam", **dataset))
    t.execute(insert(s.dataset_steward), [{"dataset": "nafld", "person": p} for p in ("stella", "stefan")])
    version = {"id": "nafld/1", "dataset": "nafld", "number": 1, "digest": "d" * 64, "state": "available"}
    t.execute(insert(s.dataset_version).values(folder="nafld-1", registered_at=now, registered_by="adam", **version))
    table = {"name": "nafld1", "file": "nafld1.parquet", "digest": "e" * 64, "rows": 17549, "bytes": 1000}
    t.execute(insert(s.dataset_table).values(version="nafld/1", unit="id", columns=columns, **table))
    project = {"name": "liver", "title": "Liver study", "purpose": "Survival", "sponsor": "clinic", "state": "active"}
    t.execute(insert(s.project).values(created_at=now, created_by="adam", expires_at=later, **project))
    t.execute(insert(s.project_member).values(project="liver", person="ana", added_at=now))
    granted = {"project": "liver", "version": "nafld/1", "purpose": "Survival", "granted_by": "stella"}
    t.execute(insert(s.grant).values(granted_at=now, expires_at=later, **granted))
    for sandbox, person in (("5a", "ana"), ("5b", "amir")):
        made = {"id": sandbox, "person": person, "project": "liver", "server_name": "liver", "container": sandbox}
        t.execute(
            insert(s.sandbox).values(
                image_digest="sha256:0", view="open", versions='["nafld/1"]', started_at=now, **made
            )
        )
