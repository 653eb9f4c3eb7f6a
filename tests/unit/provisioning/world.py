"""One installation with a dataset, a project, a member and a grant, made through the real verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from installation.settings import Settings, load
from policy_engine.bundle import POLICIES
from policy_engine.in_process import InProcess
from provisioning.domain.registration import Registration, TableSource
from provisioning.service import catalogue, projects
from store import schema
from store.database import Database
from vault import Vault

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PURPOSE = "Study outcomes of fatty liver disease"
CHECKLIST = json.loads((POLICIES / "data" / "assessment.json").read_text("utf-8"))["assessment"]
CSV = "id,age,event\n1,50,MI\n2,61,\n3,47,death\n"


@dataclass
class World:
    home: Path
    settings: Settings = field(init=False)
    db: Database = field(init=False)
    engine: InProcess = field(init=False)

    def __post_init__(self) -> None:
        self.settings = load(self.home)
        self.db = Database.open(self.settings)
        self.engine = InProcess()

    @contextmanager
    def opened(self, version: str = "nafld/1") -> Iterator[Path]:
        """The version's plain files, as a sandbox would see them."""
        with self.db.read() as c:
            digests = {table.file: table.digest for table in catalogue.tables_of(c, version)}
        with Vault(self.settings).opened({version: digests}) as found:
            yield found[version]

    def file(self, name: str, content: str | bytes = CSV) -> Path:
        path = self.home / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def registration(self, dataset: str = "nafld", content: str | bytes = CSV, **changes: Any) -> Registration:
        table = changes.pop("table", None) or self.table(content)
        wanted: dict[str, Any] = {
            "title": "Fatty liver cohort",
            "description": "People with fatty liver disease.",
            "provider": "Department of Health",
            "classification": 3,
            "stewards": ("stella",),
        }
        return Registration(dataset=dataset, tables=(table,), **{**wanted, **changes})

    def table(self, content: str | bytes = CSV, name: str = "people", **changes: Any) -> TableSource:
        wanted: dict[str, Any] = {"files": (self.file(f"{name}.csv", content),), "unit": "id"}
        return TableSource(name, **{**wanted, **changes})

    def register(self, dataset: str = "nafld", content: str | bytes = CSV, **changes: Any) -> str:
        wanted = self.registration(dataset, content, **changes)
        return catalogue.register_dataset(self.db, self.settings, wanted, actor="adam", at=START)

    def project(
        self,
        name: str = "liver",
        members: tuple[str, ...] = ("ana",),
        ends: datetime = START + 300 * DAY,
        level: int = 3,
        **said: str,
    ) -> None:
        """A project, its members, and its prior assessment for data up to ``level``; none with 0."""
        terms = {"title": "Outcomes", "purpose": PURPOSE, "sponsor": "adam"}
        terms |= {"legal_basis": "Consent, form 3", "output_plan": "Tables of outcomes by age and sex", **said}
        projects.create_project(self.db, name=name, expires_at=ends, actor="adam", at=START, **terms)
        for person in members:
            projects.add_member(self.db, project=name, person=person, actor="adam", at=START)
        if level:
            projects.assess_project(self.db, name=name, confirmed=CHECKLIST[str(level)], actor="adam", at=START)

    def grant(self, version: str = "nafld/1", project: str = "liver", days: int = 100, **changes: Any) -> int:
        wanted: dict[str, Any] = {"purpose": PURPOSE, "actor": "stella", "at": START, "expires_at": START + days * DAY}
        return projects.give_grant(self.db, project=project, version=version, **{**wanted, **changes}).id

    def ready(self) -> World:
        """A dataset, a project with a member, and a grant in force."""
        self.register()
        self.project()
        self.grant()
        return self

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        query = select(schema.ledger_entry.c.body).order_by(schema.ledger_entry.c.seq)
        with self.db.read() as c:
            found = [json.loads(bytes(row.body)) for row in c.execute(query)]
        return [entry for entry in found if not kind or entry["kind"] == kind]

    def rows(self, table: Any) -> int:
        with self.db.read() as c:
            return len(c.execute(select(table)).all())
