"""One honest release, made the way the gate makes it, for the certificate's tests."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from installation.settings import CHECKOUT
from ledger import certificate, crate
from ledger.entry import Entry, canonical, encode
from ledger.merkle import LeafNodes, frontier_of, leaf_hash, prove_inclusion
from ledger.note import Checkpoint, Signer

SIGNER = Signer("glovebox-ledger", bytes(range(32)))
SQL = 'SELECT sex, COUNT(*) AS n FROM "nafld"."nafld1" GROUP BY sex'
TIME = "2026-11-23T22:35:00.123456Z"


def facts() -> dict[str, Any]:
    return {
        "request": "R-17",
        "revision": 1,
        "project": "liver",
        "author": "ana",
        "sandbox": "a1b2c3",
        "image": "sha256:" + "1" * 64,
        "released_at": TIME,
        "lineage": [{"version": "nafld/1", "sha256": "2" * 64}],
        "checks": [
            {
                "item": "by_sex",
                "sql": SQL,
                "sql_sha256": hashlib.sha256(SQL.encode()).hexdigest(),
                "rules": [],
                "versions": ["nafld/1"],
                "checked_at": TIME,
            }
        ],
        "decision": {
            "outcome": "review",
            "engine": "opa",
            "policy": "3" * 64,
            "reasons": ["sensitive-needs-review"],
            "obligations": {"approvals": 1, "stewards_of": ["nafld"], "protect": False},
        },
        "reviews": [{"reviewer": "stella", "verdict": "approve", "at": TIME}],
    }


def members(about: dict[str, Any]) -> dict[str, bytes]:
    files = {"README.txt": b"Release R-17\n", "data/by_sex.csv": b"sex,n\nF,9000\nM,8549\n", "data/肝.csv": b"a\n1\n"}
    return {**files, crate.NAME: crate.crate_bytes(about, files, certificate.NAME)}


@dataclass(frozen=True)
class Log:
    """Bodies of a small ledger and what proves each of them."""

    bodies: list[bytes]
    signer: Signer = SIGNER

    def receipt(self, seq: int) -> certificate.Recorded:
        leaves = [leaf_hash(body) for body in self.bodies]
        size = len(leaves)
        note = Checkpoint(self.signer.name, size, frontier_of(leaves).root()).sign(self.signer)
        return certificate.Recorded(seq, self.bodies[seq], tuple(prove_inclusion(LeafNodes(leaves), seq, size)), note)


def entry(seq: int, statement: bytes, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "kind": certificate.RECORDED_BY,
        "actor": "gate",
        "subject": {"request": "R-17", "project": "liver"},
        "facts": {"certificate": certificate.digest(statement)},
        **changes,
    }
    return encode(Entry(**values), seq=seq, time=TIME)


def log_with(statement: bytes, at: int = 2, size: int = 5, **changes: Any) -> Log:
    others = [Entry("person.added", "adam", {"person": f"p{i}"}) for i in range(size)]
    bodies = [encode(other, seq=i, time=TIME) for i, other in enumerate(others)]
    bodies[at] = entry(at, statement, **changes)
    return Log(bodies)


def release(change: Callable[[dict[str, Any]], None] | None = None, **entry_changes: Any) -> bytes:
    """A bundle. ``change`` alters the facts before they are signed, without the check that `certificate.state` makes."""
    about = facts()
    packed = members(about)
    statement = certificate.state(about, packed)
    if change is not None:
        body = json.loads(statement)
        change(body)
        statement = canonical(body)
    sealed = certificate.seal(statement, SIGNER, log_with(statement, **entry_changes).receipt(2))
    return certificate.pack(packed, sealed)


def stand_alone() -> ModuleType:
    """``verifier/glovebox_verify.py``, loaded as a data owner would run it: alone."""
    spec = importlib.util.spec_from_file_location("glovebox_verify", Path(CHECKOUT) / "verifier" / "glovebox_verify.py")
    assert spec is not None
    assert spec.loader is not None
    if spec.name not in sys.modules:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules[spec.name]
