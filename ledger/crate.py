"""A release described as an RO-Crate of the Five Safes profile: what a machine elsewhere reads to understand it.

Pure: the statement's facts in, JSON-LD out. It says nothing that the signed statement does not say, and its digest is in
the statement. The profile's phases that happened here are its actions: sign-off (policy) and disclosure check (review).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

NAME = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/5s-crate/0.4"
CRATE = "https://w3id.org/ro/crate/1.2"
_PHASE = "https://w3id.org/shp#"
_DONE = "http://schema.org/CompletedActionStatus"
_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
Entity = dict[str, Any]


def crate(facts: Mapping[str, Any], members: Mapping[str, bytes], certificate: str) -> Entity:
    """The metadata of a release: ``facts`` as `certificate.state` takes them, ``members`` without this file itself."""
    files = [_file(name, data) for name, data in sorted(members.items())]
    people = sorted({facts["author"], *(r["reviewer"] for r in facts["reviews"])})
    versions = [_version(v) for v in facts["lineage"]]
    actions = [_query(facts, files), _sign_off(facts), *_disclosure_checks(facts)]
    return {
        "@context": f"{CRATE}/context",
        "@graph": [
            {"@id": NAME, "@type": "CreativeWork", "conformsTo": _ref(CRATE), "about": _ref("./")},
            _root(facts, files, versions, actions, certificate),
            {"@id": PROFILE, "@type": "Profile", "name": "Five Safes RO-Crate profile"},
            {
                "@id": _path(certificate),
                "@type": "File",
                "name": "Signed certificate",
                "encodingFormat": "application/json",
            },
            *files,
            *versions,
            *_code(facts),
            *actions,
            {
                "@id": _project(facts),
                "@type": "Project",
                "name": facts["project"],
                "member": [_ref(_person(facts["author"]))],
            },
            {
                "@id": "#policy",
                "@type": "CreativeWork",
                "name": "Release policy",
                "identifier": facts["decision"]["policy"],
            },
            *({"@id": _person(name), "@type": "Person", "name": name} for name in people),
        ],
    }


def crate_bytes(facts: Mapping[str, Any], members: Mapping[str, bytes], certificate: str) -> bytes:
    """The file ``ro-crate-metadata.json``; the same facts give the same bytes."""
    return json.dumps(crate(facts, members, certificate), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _root(
    facts: Mapping[str, Any],
    files: Sequence[Entity],
    versions: Sequence[Entity],
    actions: Sequence[Entity],
    certificate: str,
) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": _ref(PROFILE),
        "name": f"Release {facts['request']}",
        "description": f"Released from project {facts['project']} after disclosure checks.",
        "datePublished": facts["released_at"],
        "license": "Use as agreed for the project; see the certificate.",
        "author": _ref(_person(facts["author"])),
        "sourceOrganization": _ref(_project(facts)),
        "isBasedOn": [_ref(v["@id"]) for v in versions],
        "hasPart": [*(_ref(f["@id"]) for f in files), _ref(_path(certificate))],
        "mainEntity": _ref("#query"),
        "mentions": [_ref(a["@id"]) for a in actions],
    }


def _file(name: str, data: bytes) -> Entity:
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    kind = _TYPES.get(ending, "application/octet-stream")
    return {"@id": _path(name), "@type": "File", "name": name, "contentSize": str(len(data)), "encodingFormat": kind}


def _version(version: Mapping[str, Any]) -> Entity:
    name = version["version"]
    return {
        "@id": _fragment("version", name),
        "@type": "Dataset",
        "name": name,
        "identifier": f"sha256:{version['sha256']}",
    }


def _code(facts: Mapping[str, Any]) -> list[Entity]:
    return [
        {
            "@id": _fragment("code", check["item"]),
            "@type": "SoftwareSourceCode",
            "name": f"Derivation of {check['item']}",
            "programmingLanguage": "SQL",
            "text": check["sql"],
            "identifier": f"sha256:{check['sql_sha256']}",
        }
        for check in facts["checks"]
        if check.get("sql")
    ]


def _query(facts: Mapping[str, Any], files: Sequence[Entity]) -> Entity:
    """The recomputation: from which data, by which code, to which files."""
    return {
        "@id": "#query",
        "@type": "CreateAction",
        "name": "Recomputation by the gate",
        "actionStatus": _DONE,
        "agent": _ref(_person(facts["author"])),
        "instrument": [_ref(code["@id"]) for code in _code(facts)],
        "object": [_ref(_fragment("version", v["version"])) for v in facts["lineage"]],
        "result": [_ref(f["@id"]) for f in files if f["@id"].startswith("data/")],
        "endTime": max(check["checked_at"] for check in facts["checks"]),
    }


def _sign_off(facts: Mapping[str, Any]) -> Entity:
    return {
        "@id": "#sign-off",
        "@type": "AssessAction",
        "additionalType": _ref(f"{_PHASE}SignOff"),
        "name": f"Decision by policy: {facts['decision']['outcome']}",
        "actionStatus": _DONE,
        "object": [_ref("./"), _ref(_project(facts))],
        "instrument": _ref("#policy"),
        "endTime": facts["released_at"],
    }


def _disclosure_checks(facts: Mapping[str, Any]) -> list[Entity]:
    return [
        {
            "@id": f"#disclosure-{number}",
            "@type": "AssessAction",
            "additionalType": _ref(f"{_PHASE}DisclosureCheck"),
            "name": f"Disclosure check of the results: {review['verdict']}",
            "actionStatus": _DONE,
            "object": _ref("./"),
            "agent": _ref(_person(review["reviewer"])),
            "endTime": review["at"],
        }
        for number, review in enumerate(facts["reviews"], 1)
    ]


def _ref(identity: str) -> Entity:
    return {"@id": identity}


def _person(name: str) -> str:
    return _fragment("person", name)


def _project(facts: Mapping[str, Any]) -> str:
    return _fragment("project", facts["project"])


def _path(name: str) -> str:
    """A file of the bundle as the relative reference of RFC 3986 that RO-Crate asks for: ``a b.csv`` is ``a%20b.csv``."""
    return quote(name)


def _fragment(kind: str, name: str) -> str:
    return f"#{kind}-{quote(name)}"
