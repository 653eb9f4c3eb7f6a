"""The datasheet: who may say what, what its profile never shows, its page, and the signed certificate of registration."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ledger import certificate
from ledger.entry import canonical
from ledger.note import open_note
from provisioning.domain.errors import NotFound, RegistrationRefused
from provisioning.domain.masking import parse
from provisioning.intake.protected_profile import rounded
from provisioning.service import catalogue, describe, destruction, masking
from provisioning.service.certificates import PENDING, certificate_path
from tests.unit.provisioning.world import START, World

PEOPLE = "id,age,town,note\n" + "".join(
    f"{n},{20 + n % 50},{'NS'[n % 2]},{'only-me' if n == 5 else ''}\n" for n in range(203)
)
SAID = {
    "source": "Hospital register",
    "legal_basis": "Consent, 2024",
    "retention_until": "2031-01-01",
    "units": {"people.age": "years"},
    "identifiers": {"people.id": "direct", "people.age": "quasi"},
}


def say(world: World, text: str = json.dumps(SAID), actor: str = "stella", dataset: str = "nafld") -> None:
    describe.describe(world.db, dataset=dataset, text=text, actor=actor, at=START)


@pytest.mark.parametrize("actor", ["adam", "ana"])
def test_only_a_steward_describes(world: World, actor: str) -> None:
    world.register()
    with pytest.raises(RegistrationRefused, match="steward"):
        say(world, "{}", actor)
    assert world.entries("dataset.described") == []


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "[]",
        '{"colour": "red"}',
        '{"source": ""}',
        '{"source": 3}',
        '{"retention_until": "soon"}',
        '{"units": ["age"]}',
        '{"units": {"people.weight": "kg"}}',
        '{"units": {"age": "years"}}',
        '{"units": {"people.age": 3}}',
        '{"keys": {"people.id": "labs.id"}}',
        '{"identifiers": {"people.age": "perhaps"}}',
        '{"identifiers": {"people.age": ["direct"]}}',
    ],
)
def test_a_datasheet_that_is_not_whole_changes_nothing(world: World, text: str) -> None:
    world.register()
    with pytest.raises(RegistrationRefused):
        say(world, text)
    assert world.entries("dataset.described") == []


def test_an_unknown_dataset_is_not_described(world: World) -> None:
    with pytest.raises(NotFound):
        say(world, "{}")


def test_what_a_steward_said_is_on_the_record_and_in_the_exports(world: World) -> None:
    world.register(content=PEOPLE)
    say(world)
    say(world, '{"source": "Hospital <b>register</b>"}')
    first, second = world.entries("dataset.described")
    assert (first["facts"]["parts"], second["facts"]["parts"]) == (sorted(SAID), ["source"])
    found = describe.full_sheet(world.db, world.engine, world.settings, "nafld/1")
    assert (found["legal_basis"], found["described_by"]) == ("Consent, 2024", "stella")
    age = found["tables"][0]["columns"][1]
    assert (age["unit"], age["identifier"]) == ("years", "quasi")
    page = describe.as_html(found)
    assert "Hospital &lt;b&gt;register" in page
    assert "2031-01-01" in page
    with world.db.read() as c:
        (told,) = catalogue.export_dcat(c, "https://x")["dcat:dataset"]
    assert (told["dcterms:rights"], told["dcterms:valid"]) == ("Consent, 2024", "2031-01-01")


def test_the_profile_shows_nothing_of_few(world: World) -> None:
    world.register(content=PEOPLE)
    found = describe.full_sheet(world.db, world.engine, world.settings, "nafld/1")
    profile = found["profile"]["people"]
    assert (profile["least"], profile["people"]) == (10, 200)
    assert "id" not in profile["columns"]
    assert "only-me" not in json.dumps(found) + describe.as_html(found)
    assert profile["columns"]["note"] == {"missing": 200, "parts": []}
    assert profile["columns"]["age"]["missing"] is None
    assert {part["part"] for part in profile["columns"]["town"]["parts"]} == {"N", "S"}
    counts = [part["people"] for column in profile["columns"].values() for part in column["parts"]]
    assert counts
    assert all(count >= 10 and count % 10 == 0 for count in counts)
    assert all(float(part["part"]) % 10 == 0 for part in profile["columns"]["age"]["parts"])


RECIPE = {
    "people": {
        "columns": {"id": {"do": "pseudonym"}, "age": {"do": "round", "base": 10}},
        "quasi": ["age", "town"],
        "sensitive": "note",
    }
}


def mask(world: World, recipe: dict[str, object]) -> str:
    wanted = parse(json.dumps(recipe))
    told = {"version": "nafld/1", "recipes": wanted, "project": "liver", "actor": "adam", "at": START}
    return masking.mask_version(world.db, world.settings, **told)  # type: ignore[arg-type]


def test_the_sheet_of_a_masked_copy_has_recipe_version_and_effect(world: World) -> None:
    world.register(content=PEOPLE)
    world.project()
    first, again = mask(world, RECIPE), mask(world, RECIPE)
    other = mask(world, {"people": {**RECIPE["people"], "columns": {"id": {"do": "pseudonym"}}, "quasi": ["age"]}})
    sheets = [describe.full_sheet(world.db, world.engine, world.settings, v) for v in (first, again, other)]
    said = [found["masking"] for found in sheets]
    assert "sha256" not in describe.full_sheet(world.db, world.engine, world.settings, "nafld/1")["masking"]
    assert said[0]["recipe"]["people"]["columns"]["age"]["base"] == 10
    assert (said[0]["from"], said[0]["project"]) == ("nafld/1", "liver")
    effect = said[0]["effect"]["people"]
    assert effect["before"]["k"] <= effect["after"]["k"]
    assert said[0]["sha256"] == said[1]["sha256"] != said[2]["sha256"]
    page = describe.as_html(sheets[0])
    assert f"sha256 {said[0]['sha256']}" in page
    assert '"base": 10' in page.replace("&#34;", '"')
    assert '"after"' in page.replace("&#34;", '"')


def test_the_page_is_in_chinese_for_those_who_ask(world: World) -> None:
    world.register(content=PEOPLE)
    world.project()
    say(world)
    found = describe.full_sheet(world.db, world.engine, world.settings, mask(world, RECIPE))
    page = describe.as_html(found, "zh_Hans")
    assert '<html lang="zh-Hans">' in page
    for word in ("数据管家", "保存至", "隐私单元", "准标识符", "脱敏", "敏感"):
        assert word in page
    english = re.compile(r">([A-Z][a-z]+(?: [a-z]+)*)<")
    ours = set(english.findall(describe.as_html(found))) - {
        found[name] for name in ("title", "description", "provider", "source")
    }
    assert len(ours) > 12
    assert not ours & set(english.findall(page))


@pytest.mark.parametrize(("count", "shown"), [(0, None), (9, None), (10, 10), (14, 10), (16, 20)])
def test_counts_are_rounded_and_small_ones_gone(count: int, shown: int | None) -> None:
    assert rounded(count, 10) == shown


# -- the certificate of registration ----------------------------------------------------------------------------------
def test_a_registration_is_certified(world: World) -> None:
    world.register()
    made = json.loads(certificate_path(world.settings, "registered", "nafld/1").read_bytes())
    text = f"{certificate.ENVELOPE}\n{certificate.digest(canonical(made['statement']))}\n"
    assert open_note(made["signature"], world.db.verifier) == text
    (entry,) = world.entries("dataset.registered")
    assert entry["facts"]["certificate"] == certificate.digest(canonical(made["statement"]))
    assert made["statement"]["tables"] == entry["facts"]["tables"]
    with world.db.read() as c:
        assert made["statement"]["digest"] == catalogue.dataset(c, "nafld").versions[0].digest  # type: ignore[union-attr]


def test_a_crash_after_the_commit_loses_no_certificate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            world.register()
    path = certificate_path(world.settings, "registered", "nafld/1")
    assert not path.exists()
    assert destruction.settle_certificates(world.db, world.settings) == [path]
    orphan = certificate_path(world.settings, "registered", "nafld/9").with_suffix(PENDING)
    orphan.write_bytes(b"{}")
    assert destruction.settle_certificates(world.db, world.settings) == []
    assert not orphan.exists()
