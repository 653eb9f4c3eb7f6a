"""A certificate is not made for facts that do not hold together; the crate says what the statement says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from ledger import bundle, certificate, crate
from ledger.errors import BundleFault, CertificateFault, EntryRefused
from tests.unit.ledger.release_case import SIGNER, facts, log_with, members


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("request"),
        lambda f: f.update(released_at="yesterday"),
        lambda f: f.update(lineage=[]),
        lambda f: f["checks"][0].update(sql="SELECT 1"),
        lambda f: f["checks"][0].update(versions=["elsewhere/1"]),
        lambda f: f["decision"].update(outcome="refuse"),
        lambda f: f["reviews"][0].update(reviewer="ana"),
        lambda f: f.update(reviews=[]),
        lambda f: f["decision"]["obligations"].update(approvals=2),
    ],
)
def test_facts_that_do_not_hold_together_are_not_stated(change: Callable[[dict[str, Any]], None]) -> None:
    about = facts()
    packed = members(about)
    change(about)
    with pytest.raises(CertificateFault):
        certificate.state(about, packed)


def test_a_statement_has_no_floats() -> None:
    with pytest.raises(EntryRefused):
        certificate.state({**facts(), "share": 0.5}, members(facts()))


def test_a_statement_of_nothing_is_refused() -> None:
    with pytest.raises(CertificateFault):
        certificate.state(facts(), {})


def test_policy_may_release_without_a_reviewer_when_none_was_needed() -> None:
    about = facts()
    about["decision"].update(outcome="release", obligations={"approvals": 0, "stewards_of": [], "protect": False})
    about["reviews"] = []
    assert json.loads(certificate.state(about, members(about)))["files"]


def test_the_same_release_is_the_same_bytes() -> None:
    def made() -> bytes:
        packed = members(facts())
        statement = certificate.state(facts(), packed)
        return certificate.pack(packed, certificate.seal(statement, SIGNER, log_with(statement).receipt(2)))

    assert made() == made()


def test_a_bundle_of_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleFault):
        bundle.pack({f"{i}": b"" for i in range(bundle.MAX_MEMBERS + 1)})
    monkeypatch.setattr(bundle, "MAX_FILE", 100)
    with pytest.raises(BundleFault):
        bundle.pack({"a": b"x" * 100})


def entities() -> dict[str, dict[str, Any]]:
    about = facts()
    files = {"README.txt": b"", "data/by_sex.csv": b"sex,n\n", "data/by_sex.parquet": b""}
    made = crate.crate(about, files, certificate.NAME)
    found = {e["@id"]: e for e in made["@graph"]}
    assert len(found) == len(made["@graph"])
    return found


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {value["@id"]} if set(value) == {"@id"} else set().union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_crate_follows_the_five_safes_profile() -> None:
    found = entities()
    assert found["ro-crate-metadata.json"]["conformsTo"] == {"@id": crate.CRATE}
    assert found["./"]["conformsTo"] == {"@id": crate.PROFILE}
    assert {e["@id"] for e in found["./"]["hasPart"]} == {
        "README.txt",
        "data/by_sex.csv",
        "data/by_sex.parquet",
        "certificate.json",
    }
    phases = {e["additionalType"]["@id"].rpartition("#")[2] for e in found.values() if "additionalType" in e}
    assert phases == {"SignOff", "DisclosureCheck"}
    assert found["#disclosure-1"]["agent"] == {"@id": "#person-stella"}
    assert found["#query"]["result"] == [{"@id": "data/by_sex.csv"}, {"@id": "data/by_sex.parquet"}]
    assert found["#version-nafld/1"]["identifier"] == "sha256:" + "2" * 64
    assert found["data/by_sex.parquet"]["encodingFormat"] == "application/vnd.apache.parquet"


def test_everything_the_crate_refers_to_is_in_it() -> None:
    found = entities()
    outside = {r for e in found.values() for r in references(list(e.values()))} - set(found)
    assert {r for r in outside if not r.startswith("https://w3id.org/")} == set()


def test_names_with_blanks_and_chinese_characters_are_references_of_rfc_3986() -> None:
    about = facts()
    about["checks"][0]["item"] = "按 性别#1%"
    about["author"] = "安娜"
    files = {"data/按 性别#1%.csv": b"a\n", "data/plain.csv": b"a\n"}
    made = crate.crate(about, files, certificate.NAME)
    found = {e["@id"]: e for e in made["@graph"]}
    every = set(found) | references(made["@graph"])
    assert not [i for i in every if not re.fullmatch(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]+", i)]
    assert not [i for i in every if i.count("#") > 1]
    assert {unquote(f["@id"]): f["name"] for f in found.values() if f["@id"].startswith("data/")} == {
        n: n for n in files
    }
    outside = {r for e in found.values() for r in references(list(e.values()))} - set(found)
    assert {r for r in outside if not r.startswith("https://w3id.org/")} == set()
    assert found["#query"]["instrument"] == [{"@id": next(i for i in found if i.startswith("#code-"))}]


def test_the_crate_is_the_same_bytes_for_the_same_facts() -> None:
    assert crate.crate_bytes(facts(), {"a": b""}, "c") == crate.crate_bytes(facts(), {"a": b""}, "c")
