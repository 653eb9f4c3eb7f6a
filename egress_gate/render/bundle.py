"""The zip that leaves: the same inputs give the same bytes, so that its digest can stand in the ledger."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egress_gate.render.table import DECIMALS, NOTE, SUPPRESSED, TOTAL

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Part:
    """One file that leaves."""

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def bundle_bytes(parts: Sequence[Part], certificate: bytes, facts: Mapping[str, Any]) -> bytes:
    """A zip with ``data/``, ``certificate.json``, ``ro-crate-metadata.json`` and a README; deterministic."""
    crate = json.dumps(crate_of(parts, facts), indent=2, sort_keys=True, ensure_ascii=False).encode()
    files = [("README.txt", readme(facts).encode()), ("certificate.json", certificate)]
    files += [("ro-crate-metadata.json", crate)]
    files += [(f"data/{p.name}", p.data) for p in sorted(parts, key=lambda p: p.name)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            packed.writestr(entry, data, compresslevel=9)
    return out.getvalue()


def readme(facts: Mapping[str, Any]) -> str:
    return f"""Glovebox release {facts["request"]}, revision {facts["revision"]}
Project: {facts["project"]}
Released: {facts["released_at"]}

data/                    what was released, written by the gate from its own recomputation
certificate.json         signed: data version, code, checks, policy, reviewers, digests of every file
ro-crate-metadata.json   the same as an RO-Crate description

CSV is UTF-8 with LF line ends. Numbers have at most {DECIMALS} decimals. "{TOTAL}" in a key column is the total over
that column. A row whose {NOTE} is "{SUPPRESSED}" was withheld to protect the people behind it: its values are empty.

Check it: ./glovebox verify THIS.zip
"""


def crate_of(parts: Sequence[Part], facts: Mapping[str, Any]) -> dict[str, Any]:
    """RO-Crate 1.2 metadata: the files with their digests, who made and who approved them, from what."""
    files = [
        {
            "@id": f"data/{p.name}",
            "@type": "File",
            "name": p.name,
            "contentSize": str(len(p.data)),
            "sha256": p.digest,
        }
        for p in sorted(parts, key=lambda p: p.name)
    ]
    people = sorted({facts["author"], *(r["reviewer"] for r in facts["reviews"])})
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Release {facts['request']}",
        "datePublished": facts["released_at"],
        "author": {"@id": f"#{facts['author']}"},
        "isBasedOn": [{"@id": f"#version-{v['version']}"} for v in facts["lineage"]],
        "hasPart": [{"@id": f["@id"]} for f in files] + [{"@id": "certificate.json"}],
        "mentions": [{"@id": "#review"}],
    }
    review = {
        "@id": "#review",
        "@type": "AssessAction",
        "additionalType": {"@id": "https://w3id.org/shp#DisclosureCheck"},
        "name": "Disclosure check",
        "endTime": facts["released_at"],
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "agent": [{"@id": f"#{r['reviewer']}"} for r in facts["reviews"]],
        "object": {"@id": "./"},
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.2"}, {"@id": "https://w3id.org/5s-crate/0.4"}],
            "about": {"@id": "./"},
        },
        root,
        review,
        {"@id": "certificate.json", "@type": "File", "name": "Signed release certificate"},
        *files,
        *({"@id": f"#{p}", "@type": "Person", "name": p} for p in people),
        *({"@id": f"#version-{v['version']}", "@type": "Dataset", "name": v["version"]} for v in facts["lineage"]),
    ]
    return {"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": graph}
