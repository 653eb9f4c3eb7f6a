"""The files that leave beside the certificate: the outputs, a README, and an RO-Crate description."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egress_gate.render.table import DECIMALS, TOTAL
from ledger import certificate, crate


@dataclass(frozen=True)
class Part:
    """One file that leaves."""

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def members_of(parts: Sequence[Part], facts: Mapping[str, Any]) -> dict[str, bytes]:
    """Name → bytes of everything in the bundle but its certificate; the same facts give the same bytes."""
    members = {f"data/{p.name}": p.data for p in parts}
    members["README.txt"] = readme(facts).encode()
    members[crate.NAME] = crate.crate_bytes(facts, members, certificate.NAME)
    return members


def readme(facts: Mapping[str, Any]) -> str:
    return f"""Glovebox release {facts["request"]}, revision {facts["revision"]}
Project: {facts["project"]}
Released: {facts["released_at"]}

data/                    what was released, written by the gate from its own recomputation
certificate.json         signed: data version, code, checks, policy, reviewers, digests of every file
ro-crate-metadata.json   the same as an RO-Crate description

CSV is UTF-8 with LF line ends. Numbers have at most {DECIMALS} decimals. "{TOTAL}" in a key column is the total over
that column. A combination of keys that is not listed has nobody behind it, or too few people to be shown: the two look alike on
purpose.

Check it: ./glovebox verify THIS.zip
"""
