"""Masking against known answers: Python's hmac and hand-made tables, not our own SQL."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.domain.dataset import Column
from provisioning.domain.errors import GrantRefused, NotFound, RegistrationRefused
from provisioning.domain.masking import TableRecipe, check, facts, parse
from provisioning.domain.masking_key import Construction, MaskingKey, read_key
from provisioning.intake.masking import anonymity, masked_select
from provisioning.service import catalogue, masking
from provisioning.service.masking_key import project_key
from provisioning.store import catalogue as rows
from store import schema
from tests.unit.provisioning.world import START, World

KEY = bytes(range(32))
BOTH = pytest.mark.parametrize("construction", list(Construction))


def rule(column: str, **body: Any) -> TableRecipe:
    return parse(json.dumps({"people": {"columns": {column: body}}}))["people"]


def masked(
    table: str,
    recipe: TableRecipe,
    unit: str | None = "id",
    key: bytes = KEY,
    construction: Construction = Construction.CHOPPED,
) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * FROM (VALUES {table})")
        described = connection.execute("DESCRIBE t").fetchall()
        columns = [Column(str(row[0]), str(row[1])) for row in described]
        return connection.execute(masked_select("t", columns, unit, recipe, MaskingKey(key, construction))).fetchall()


def known(domain: str, value: str, key: bytes = KEY) -> str:
    return hmac.new(key, f"{domain}:{value}".encode(), "sha256").hexdigest()


def pseudonym(value: str, construction: Construction, key: bytes = KEY) -> str:
    """By hashlib and hmac alone, from ADR 20's words."""
    if construction is Construction.HMAC:
        return known("pseudonym", value, key)[:24]
    drawn = hmac.new(key, b"glovebox pseudonym/2", "sha256").digest()
    return hashlib.sha256(drawn + value.encode()).hexdigest()[:24]


@BOTH
def test_a_pseudonym_is_the_keyed_digest_of_its_value(construction: Construction) -> None:
    found = masked("(7, 'x'), (NULL, 'y')) t(id, name", rule("id", do="pseudonym"), construction=construction)
    assert found == [(pseudonym("7", construction), "x"), (None, "y")]


def test_pseudonyms_of_years_ago_are_known_answers() -> None:
    """Written down once: what lies in versions must not change with a library."""
    made = [
        [row[0] for row in masked("('7'), ('张三')) t(id", rule("id", do="pseudonym"), construction=construction)]
        for construction in (Construction.HMAC, Construction.CHOPPED)
    ]
    assert made == [
        ["a856bc1dcbc1882278f0e604", "0cff1ff3ffa81d6f9b298d2f"],
        ["e1854bcad2688b211e73b1eb", "6b2f6fdf21576e631748dc60"],
    ]


@settings(max_examples=30, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=200),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(Construction),
)
def test_any_text_and_any_key_give_pythons_digest(value: str, key: bytes, construction: Construction) -> None:
    quoted = value.replace("'", "''")
    found = masked(f"(1, '{quoted}')) t(id, name", rule("name", do="pseudonym"), key=key, construction=construction)
    assert found[0][1] == pseudonym(re.sub(r"\A([0-9]+)\.0\Z", r"\1", value), construction, key)


@BOTH
@pytest.mark.parametrize("as_came", ["7::UTINYINT", "7::BIGINT", "7.0::DOUBLE", "'7'", "'7.0'", "7.0::DECIMAL(3,1)"])
def test_a_pseudonym_is_the_same_for_a_number_its_float_and_its_text(as_came: str, construction: Construction) -> None:
    found = masked(f"({as_came})) t(id", rule("id", do="pseudonym"), construction=construction)
    assert found == [(pseudonym("7", construction),)]


def test_the_pseudonym_of_another_text_is_another() -> None:
    near = "'7', '7.00', '7.0x', ' 7', '07', '7.', '-7.0', '7.0\n'"
    found = masked(f"({'), ('.join(near.split(', '))})) t(id", rule("id", do="pseudonym"))
    assert len({row[0] for row in found}) == 8


def test_two_keys_give_two_names() -> None:
    recipe = rule("id", do="pseudonym")
    assert masked("(7)) t(id", recipe) != masked("(7)) t(id", recipe, key=bytes(32))


@pytest.mark.parametrize(
    ("body", "values", "expected"),
    [
        (
            {"do": "bins", "edges": [18, 65]},
            "17, 18, 64, 65, NULL",
            ["under 18", "18 to under 65", "18 to under 65", "65 and over", None],
        ),
        ({"do": "clip", "low": 20, "high": 90}, "5, 20, 50, 99, NULL", [20, 20, 50, 90, None]),
        ({"do": "clip", "high": 90}, "5, 99, NULL, -3, 90", [5, 90, None, -3, 90]),
        ({"do": "round", "base": 5}, "0, 2, 3, 47, NULL", [0, 0, 5, 45, None]),
        (
            {"do": "truncate", "to": "month"},
            "DATE '2026-01-31', DATE '2026-02-01', NULL, DATE '1999-12-31', DATE '2000-01-01'",
            [date(2026, 1, 1), date(2026, 2, 1), None, date(1999, 12, 1), date(2000, 1, 1)],
        ),
        ({"do": "prefix", "length": 3}, "'E11.9', 'C5', '', NULL, '卫生部门'", ["E11", "C5", "", None, "卫生部"]),
        (
            {"do": "redact"},
            "'call 13912345678 now', 'id 11010519491231002X', 'a.b@mail.example.cn!', '车牌京A12345。', NULL",
            ["call [redacted] now", "id [redacted]", "[redacted]!", "车牌[redacted]。", None],
        ),
    ],
)
def test_known_answers(body: dict[str, Any], values: str, expected: list[Any]) -> None:
    listed = ", ".join(f"({n}, {value})" for n, value in enumerate(values.split(", "), start=1))
    found = masked(f"{listed}) t(id, v", rule("v", **body))
    assert [row[1] for row in sorted(found)] == expected


def test_dropped_columns_are_gone() -> None:
    assert masked("(1, 'Zhang San', 3)) t(id, name, n", rule("name", do="drop")) == [(1, 3)]


def test_all_dates_of_one_person_move_alike_and_known() -> None:
    table = "(7, DATE '2026-01-01'), (7, DATE '2026-03-01'), (8, DATE '2026-01-01'), (9, NULL)) t(id, seen"
    first, second, other, nobody = masked(table, rule("seen", do="shift", days=30))
    days = int(known("shift", "7")[:12], 16) % 61 - 30
    assert first[1] == date(2026, 1, 1) + timedelta(days)
    assert second[1] - first[1] == timedelta(59)
    assert abs(other[1] - date(2026, 1, 1)) <= timedelta(30)
    assert nobody[1] is None


def test_shifts_reach_both_ends_and_no_further() -> None:
    table = ", ".join(f"({n}, DATE '2026-01-01')" for n in range(3000))
    found = {
        (row[1] - date(2026, 1, 1)).days for row in masked(f"{table}) t(id, seen", rule("seen", do="shift", days=7))
    }
    assert found == set(range(-7, 8))


def test_anonymity_counts_people_not_rows() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT * FROM (VALUES (1,'f','x'),(1,'f','y'),(2,'m','x'),(3,'m','x'),(4,'m','z')) v(id, sex, illness)"
        )
        found = anonymity(connection, "t", "id", ["sex"], "illness")
        assert found is not None
        assert (found.people, found.groups, found.k, found.alone, found.diversity) == (4, 2, 1, 1, 2)
        assert anonymity(connection, "t", "id", [], None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"people": 3}',
        '{"people": {"colums": {}}}',
        '{"people": {"columns": {"a": {"do": "hide"}}}}',
        '{"people": {"columns": {"a": "drop"}}}',
        '{"people": {"columns": {"a": {"do": "drop", "really": false}}}}',
        '{"people": {"columns": {"a": {"do": "bins", "edges": []}}}}',
        '{"people": {"columns": {"a": {"do": "bins", "edges": [2, 1]}}}}',
        '{"people": {"columns": {"a": {"do": "bins", "edges": [1, NaN]}}}}',
        '{"people": {"columns": {"a": {"do": "bins", "edges": ["1); DROP"]}}}}',
        '{"people": {"columns": {"a": {"do": "truncate", "to": "century"}}}}',
        '{"people": {"columns": {"a": {"do": "prefix", "length": 0}}}}',
        '{"people": {"columns": {"a": {"do": "prefix", "length": true}}}}',
        '{"people": {"columns": {"a": {"do": "clip"}}}}',
        '{"people": {"columns": {"a": {"do": "clip", "low": 5, "high": 5}}}}',
        '{"people": {"columns": {"a": {"do": "shift", "days": 99999}}}}',
        '{"people": {"columns": {"a": {"do": "round", "base": 0}}}}',
        '{"people": {"quasi": "age"}}',
    ],
)
def test_recipes_that_are_not_whole_are_refused(text: str) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        parse(text)
    assert all(refused.value.public().values())


COLUMNS = (Column("id", "BIGINT"), Column("age", "DOUBLE"), Column("born", "DATE"), Column("name", "VARCHAR"))


@pytest.mark.parametrize(
    ("recipe", "unit"),
    [
        (rule("size", do="drop"), "id"),
        (rule("id", do="drop"), "id"),
        (rule("id", do="round", base=10), "id"),
        (rule("name", do="bins", edges=[1]), "id"),
        (rule("age", do="truncate", to="year"), "id"),
        (rule("age", do="prefix", length=1), "id"),
        (rule("born", do="redact"), "id"),
        (rule("born", do="shift", days=3), None),
        (TableRecipe(quasi=("size",)), "id"),
        (TableRecipe(rule("name", do="drop").columns, quasi=("name",)), "id"),
        (TableRecipe(sensitive="illness"), "id"),
    ],
)
def test_recipes_that_do_not_fit_the_table_are_refused(recipe: TableRecipe, unit: str | None) -> None:
    with pytest.raises(RegistrationRefused):
        check("people", recipe, COLUMNS, unit)


def test_a_recipe_reads_back() -> None:
    text = json.dumps(
        {
            "people": {
                "columns": {
                    "age": {"do": "bins", "edges": [18, 65]},
                    "name": {"do": "drop"},
                    "n": {"do": "clip", "high": 3},
                },
                "quasi": ["age"],
                "sensitive": "event",
            }
        }
    )
    assert facts(parse(text)) == json.loads(text)


CSV = "id,name,age,event\n1,Zhang,50,MI\n2,Li,61,\n3,Wang,47,death\n4,Ma,52,MI\n"
RECIPE = {
    "people": {
        "columns": {"id": {"do": "pseudonym"}, "name": {"do": "drop"}, "age": {"do": "bins", "edges": [45, 60]}},
        "quasi": ["age"],
        "sensitive": "event",
    }
}


def mask(world: World, project: str = "liver", recipe: Any = None, version: str = "nafld/1") -> str:
    return masking.mask_version(
        world.db,
        world.settings,
        version=version,
        recipes=parse(json.dumps(recipe or RECIPE)),
        project=project,
        actor="adam",
        at=START,
    )


def ids(world: World, version: str) -> list[str]:
    with world.opened(version) as folder, duckdb.connect() as connection:
        return sorted(row[0] for row in connection.read_parquet(str(folder / "people.parquet")).fetchall())


def test_a_masked_version_is_a_version_of_its_own(world: World) -> None:
    world.register(content=CSV)
    world.project()
    assert mask(world) == "nafld/2"
    with world.db.read() as c:
        (table,) = catalogue.tables_of(c, "nafld/2")
        recipe = rows.recipe_of(c, "nafld/2")
    assert [column.name for column in table.columns] == ["id", "age", "event"]
    assert (table.unit, table.rows) == ("id", 4)
    assert recipe["from"] == "nafld/1"
    before, after = recipe["effect"]["people"]["before"], recipe["effect"]["people"]["after"]
    assert (before["k"], before["alone"], after["k"], after["alone"]) == (1, 4, 1, 1)
    (entry,) = world.entries("dataset.masked")
    assert entry["subject"] == {"dataset": "nafld", "version": "nafld/2", "project": "liver"}


def test_pseudonyms_join_within_a_project_and_do_not_link_two(world: World) -> None:
    world.register(content=CSV)
    world.project()
    world.project("heart")
    first, again, other = (
        mask(world),
        mask(world, recipe={"people": {"columns": {"id": {"do": "pseudonym"}}}}),
        mask(world, "heart"),
    )
    assert ids(world, first) == ids(world, again)
    assert not set(ids(world, first)) & set(ids(world, other))


def test_a_version_masked_for_one_project_is_not_granted_to_another(world: World) -> None:
    world.register(content=CSV)
    world.project()
    world.project("heart")
    masked_version = mask(world)
    with pytest.raises(GrantRefused, match="pseudonyms"):
        world.grant(masked_version, project="heart")
    world.grant(masked_version)


def test_the_projects_key_is_its_own_and_stays(world: World) -> None:
    key = project_key(world.settings, "liver")
    path = world.settings.secrets / "masking" / "liver.key"
    assert (len(key.secret), path.stat().st_mode & 0o777) == (32, 0o600)
    assert key.secret.hex() not in repr(key)
    assert project_key(world.settings, "liver") == key
    assert project_key(world.settings, "heart") != key
    whole = path.read_bytes()
    for damaged in (b"short", b"", whole[:32], whole[:-1], whole + b"x", whole.replace(b"key/2", b"key/3")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            project_key(world.settings, "liver")


@BOTH
def test_a_key_is_read_as_it_was_kept(construction: Construction) -> None:
    key = MaskingKey(KEY, construction)
    assert read_key(key.stored()) == key


def test_a_project_that_began_with_the_first_construction_keeps_it_and_says_so(world: World) -> None:
    world.register(content=CSV)
    world.project()
    world.project("heart")
    kept = world.settings.secrets / "masking" / "liver.key"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    kept.write_bytes(KEY)
    old, new = mask(world), mask(world, "heart")
    assert set(ids(world, old)) == {pseudonym(value, Construction.HMAC) for value in ("1", "2", "3", "4")}
    with world.db.read() as c:
        said = [rows.recipe_of(c, version)["pseudonyms"] for version in (old, new)]
    assert said == [Construction.HMAC, Construction.CHOPPED]
    assert [entry["facts"]["pseudonyms"] for entry in world.entries("dataset.masked")] == said


def test_nothing_is_left_of_a_refused_masking(world: World) -> None:
    world.register(content=CSV)
    world.project()
    with pytest.raises(RegistrationRefused):
        mask(world, recipe={"labs": {"columns": {}}})
    with pytest.raises(NotFound):
        mask(world, project="spleen")
    with pytest.raises(NotFound):
        mask(world, version="nafld/9")
    assert [path.name for path in (world.settings.datasets / "nafld").iterdir()] == ["1"]
    assert world.entries("dataset.masked") == []


# -- noise, and masking on the way in ---------------------------------------------------------------------------------
def test_noise_is_normal_the_same_each_time_and_anothers_with_another_key() -> None:
    rows = ", ".join(f"({i}, 50.0::DOUBLE)" for i in range(4000))
    one, again, other = (
        [row[1] for row in masked(f"{rows}) t(id, age", rule("age", do="noise", sd=2), key=key)]
        for key in (KEY, KEY, bytes(32))
    )
    assert one == again
    assert not set(one) & set(other)
    drawn = [value - 50 for value in one]
    mean = sum(drawn) / len(drawn)
    sd = (sum((d - mean) ** 2 for d in drawn) / len(drawn)) ** 0.5
    assert abs(mean) < 0.2
    assert 1.85 < sd < 2.15
    assert masked("(1, NULL::BIGINT)) t(id, age", rule("age", do="noise", sd=2)) == [(1, None)]


def test_noise_is_for_numbers_only() -> None:
    with pytest.raises(RegistrationRefused, match="Noise does not fit"):
        check("people", rule("name", do="noise", sd=1), [Column("name", "VARCHAR")], None)
    with pytest.raises(RegistrationRefused):
        rule("age", do="noise", sd=0)


def test_what_is_masked_on_the_way_in_is_never_stored(world: World) -> None:
    recipes = parse(json.dumps(RECIPE))
    world.project()
    assert world.register(content=CSV, recipes=recipes, project="liver") == "nafld/1"
    with world.db.read() as c:
        assert rows.recipe_of(c, "nafld/1")["project"] == "liver"
    direct = ids(world, "nafld/1")
    world.register("other", content=CSV)
    assert mask(world, version="other/1") == "other/2"
    assert direct == ids(world, "other/2")


@pytest.mark.parametrize("blank", ["", " ", "   "])
def test_a_person_without_a_name_is_found_before_the_pseudonym_hides_it(world: World, blank: str) -> None:
    recipes = parse(json.dumps({"people": {"columns": {"id": {"do": "pseudonym"}}}}))
    with pytest.raises(RegistrationRefused, match="do not say whom"):
        world.register(content=f"id,age\nanna,50\n{blank or chr(34) * 2},61\n", recipes=recipes, project="liver")
    assert world.rows(schema.dataset_version) == 0


@pytest.mark.parametrize(("recipes", "project"), [({}, "liver"), ({"people": TableRecipe()}, None)])
def test_a_recipe_and_its_project_belong_together(
    world: World, recipes: dict[str, TableRecipe], project: str | None
) -> None:
    with pytest.raises(RegistrationRefused, match="belong together"):
        world.register(content="id,age\n1,2\n", recipes=recipes, project=project)


def test_a_recipe_for_a_table_that_is_not_delivered_is_refused(world: World) -> None:
    with pytest.raises(RegistrationRefused, match="not delivered"):
        world.register(recipes={"ghosts": TableRecipe()}, project="liver")
