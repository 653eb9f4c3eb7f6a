"""Codes generalised by a table of codes: what each becomes, what is refused, and what stays on the record."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import duckdb
import pytest

from provisioning.domain.dataset import Column
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.hierarchy import read_codes
from provisioning.domain.masking import TableRecipe, check, facts, parse
from provisioning.domain.masking_key import MaskingKey
from provisioning.intake.masking import bring_codes, masked_select
from provisioning.service import masking
from provisioning.store import catalogue as rows
from store.blobs import Blobs
from tests.unit.provisioning.world import START, World

ICD = b"code,block,chapter\nI10,I10-I15,IX\nI21,I20-I25,IX\nE11,E10-E14,IV\n"
PLACES = "code,县,市,省\n110101,东城区,北京市,北京\n440305,南山区,深圳市,广东\n440106,天河区,广州市,广东\n".encode()
FILES = {"icd.csv": ICD, "gbt2260.csv": PLACES}


def recipe(columns: dict[str, Any], **more: Any) -> TableRecipe:
    return parse(json.dumps({"people": {"columns": columns, **more}}), FILES.__getitem__)["people"]


def hierarchy(to: str, file: str = "icd.csv", missing: str = "refuse", **more: Any) -> dict[str, Any]:
    return {"do": "hierarchy", "file": file, "to": to, "missing": missing, **more}


def masked(values: str, wanted: TableRecipe) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * FROM (VALUES {values})")
        columns = [Column(str(row[0]), str(row[1])) for row in connection.execute("DESCRIBE t").fetchall()]
        check("people", wanted, columns, "id")
        bring_codes(connection, wanted)
        return connection.execute(
            masked_select("t", columns, "id", wanted, MaskingKey(bytes(32))) + " ORDER BY id"
        ).fetchall()


def test_a_code_becomes_its_value_on_the_level_asked_for() -> None:
    found = masked("(1, 'I10'), (2, 'E11'), (3, NULL), (4, ' I21 ')) t(id, icd", recipe({"icd": hierarchy("chapter")}))
    assert [row[1] for row in found] == ["IX", "IV", None, "IX"]


def test_codes_are_looked_up_by_their_first_characters_where_the_table_ends_there() -> None:
    found = masked("(1, 'I10.9'), (2, 'E11.65')) t(id, icd", recipe({"icd": hierarchy("block", length=3)}))
    assert [row[1] for row in found] == ["I10-I15", "E10-E14"]


def test_division_codes_that_are_numbers_are_codes() -> None:
    wanted = recipe({"place": hierarchy("省", "gbt2260.csv"), "code": hierarchy("市", "gbt2260.csv")})
    found = masked("(1, 440305, 110101), (2, 440106, 440106)) t(id, place, code", wanted)
    assert found == [(1, "广东", "北京市"), (2, "广东", "广州市")]


def test_a_prefix_may_keep_the_code_s_length() -> None:
    wanted = recipe({"place": {"do": "prefix", "length": 2, "fill": "0"}})
    assert masked("(1, 440305), (2, NULL)) t(id, place", wanted) == [(1, "440000"), (2, None)]


def test_a_code_that_is_missing_is_refused_or_becomes_the_word_declared() -> None:
    table = "(1, 'I10'), (2, 'Z99')) t(id, icd"
    assert masked(table, recipe({"icd": hierarchy("chapter", missing="other")})) == [(1, "IX"), (2, "other")]
    with pytest.raises(duckdb.Error, match="no such code"):
        masked(table, recipe({"icd": hierarchy("chapter")}))


def test_names_of_columns_never_meet_those_of_the_table_of_codes() -> None:
    wanted = recipe({"code": hierarchy("chapter"), "up": hierarchy("block")})
    found = masked("(1, 'I10', 'E11', 'x', 'y')) t(id, code, up, given, codes_1", wanted)
    assert found == [(1, "IX", "E10-E14", "x", "y")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"code\nI10\n",
        b"code,a,a\nI10,x,y\n",
        b"code,a\n",
        b"code,a\nI10,\n",
        b"code,a\nI10,x\nI10,y\n",
        b"code,a\nI10,x,y\n",
        b"code,a,b\nI10,x,1\nI21,x,2\n",
        "code,a\n甲,乙\n".encode("gb18030"),
        b'code,a\n"I10,x\n',
        b"code,a\nI10," + b"x" * 201 + b"\n",
    ],
)
def test_a_table_of_codes_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        read_codes("icd.csv", content)
    assert all(refused.value.public().values())


@pytest.mark.parametrize(
    "rule",
    [
        hierarchy("volume"),
        hierarchy("chapter", sha256="0" * 64),
        hierarchy("chapter", missing=""),
        hierarchy("chapter", length=0),
        {"do": "hierarchy", "file": "icd.csv", "to": "chapter"},
        {"do": "prefix", "length": 2, "fill": "00"},
    ],
)
def test_rules_on_codes_that_are_not_whole_are_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(RegistrationRefused):
        recipe({"icd": rule})


def test_a_recipe_without_its_table_of_codes_is_refused_and_with_it_reads_back() -> None:
    text = json.dumps({"people": {"columns": {"icd": hierarchy("chapter", length=3)}}})
    with pytest.raises(RegistrationRefused, match="not given"):
        parse(text)
    said = facts(parse(text, FILES.__getitem__))
    assert said["people"]["columns"]["icd"]["sha256"] == hashlib.sha256(ICD).hexdigest()
    assert facts(parse(json.dumps(said), FILES.__getitem__)) == said


def test_codes_are_for_text_and_whole_numbers() -> None:
    for kind in ("DOUBLE", "DATE", "DECIMAL(9,2)"):
        with pytest.raises(RegistrationRefused, match="does not fit"):
            check("people", recipe({"icd": hierarchy("chapter")}), [Column("icd", kind)], None)


CSV = "id,icd,event\n1,I10,MI\n2,I21,MI\n3,E11,death\n4,E11,MI\n"


def mask(world: World, missing: str = "refuse") -> str:
    text = json.dumps(
        {"people": {"columns": {"icd": hierarchy("chapter", missing=missing)}, "quasi": ["icd"], "sensitive": "event"}}
    )
    recipes = parse(text, FILES.__getitem__)
    return masking.mask_version(
        world.db, world.settings, version="nafld/1", recipes=recipes, project="liver", actor="adam", at=START
    )


def test_the_table_of_codes_is_kept_and_its_effect_measured(world: World) -> None:
    world.register(content=CSV)
    world.project()
    version = mask(world)
    with world.db.read() as c:
        kept = rows.recipe_of(c, version)
    digest = kept["recipe"]["people"]["columns"]["icd"]["sha256"]
    assert Blobs(world.settings.blobs).read(digest) == ICD
    before, after = (kept["effect"]["people"][when] for when in ("before", "after"))
    assert (before["k"], before["alone"], before["diversity"]) == (1, 2, 1)
    assert (after["k"], after["alone"], after["diversity"]) == (2, 0, 1)
    (entry,) = world.entries("dataset.masked")
    assert digest in entry["facts"]["recipe"]


def test_a_missing_code_leaves_nothing_and_is_not_in_the_message(world: World) -> None:
    world.register(content=CSV.replace("3,E11", "3,Z99"))
    world.project()
    with pytest.raises(RegistrationRefused, match=r"column icd holds a code that icd\.csv does not have") as refused:
        mask(world)
    assert "Z99" not in str(refused.value.public())
    assert "Z99" in str(refused.value.private)
    assert [path.name for path in (world.settings.datasets / "nafld").iterdir()] == ["1"]
    assert mask(world, missing="other") == "nafld/2"


def test_codes_are_masked_on_the_way_in_too(world: World) -> None:
    text = json.dumps({"people": {"columns": {"icd": hierarchy("chapter")}}})
    recipes = parse(text, FILES.__getitem__)
    world.project()
    with pytest.raises(RegistrationRefused, match="holds a code"):
        world.register(content=CSV.replace("E11", "Z99"), recipes=recipes, project="liver")
    assert world.entries("dataset.registered") == []
    version = world.register(content=CSV, recipes=recipes, project="liver")
    with world.opened(version) as folder, duckdb.connect() as connection:
        found = connection.read_parquet(str(folder / "people.parquet")).order("id").fetchall()
    assert [row[1] for row in found] == ["IX", "IX", "IV", "IV"]
    assert Blobs(world.settings.blobs).has(hashlib.sha256(ICD).hexdigest())
    (entry,) = world.entries("dataset.registered")
    assert hashlib.sha256(ICD).hexdigest() in entry["facts"]["recipe"]
