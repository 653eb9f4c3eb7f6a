"""What a column is taken for: known valid and invalid numbers, and columns that only look alike."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from provisioning.domain import identifiers as ids
from provisioning.domain.classification import Classification
from provisioning.domain.errors import NotFound
from provisioning.domain.profile import ColumnProfile, TableProfile, differences
from provisioning.service import datasheet
from tests.unit.provisioning.world import World


@pytest.mark.parametrize(
    ("test", "value", "valid"),
    [
        (ids.identity_number, "11010519491231002X", True),
        (ids.identity_number, "11010519491231002x", True),
        (ids.identity_number, "440524188001010014", True),
        (ids.identity_number, "440524188001010015", False),
        (ids.identity_number, "110105194902310026", False),
        (ids.identity_number, "99010519491231002X", False),
        (ids.identity_number, "11010519491231002", False),
        (ids.mobile_number, "13912345678", True),
        (ids.mobile_number, "+86 139-1234-5678", True),
        (ids.mobile_number, "12912345678", False),
        (ids.mobile_number, "1391234567", False),
        (ids.bank_card, "4111111111111111", False),
        (ids.bank_card, "4012888888881881", True),
        (ids.bank_card, "4012888888881882", False),
        (ids.bank_card, "5555 5555 5555 4444", False),
        (ids.bank_card, "378282246310005", True),
        (ids.plate_number, "京A12345", True),
        (ids.plate_number, "沪A·D12345", True),
        (ids.plate_number, "京I12345", False),
        (ids.plate_number, "A12345", False),
        (ids.mail_address, "a.b@mail.example.cn", True),
        (ids.mail_address, "a.b@mail", False),
        (ids.chinese_name, "张三", True),
        (ids.chinese_name, "欧阳修", True),
        (ids.chinese_name, "卫生部", False),
        (ids.chinese_name, "Zhang", False),
        (ids.postal_address, "北京市海淀区中关村大街1号", True),
        (ids.postal_address, "北京", False),
    ],
)
def test_known_values(test: Callable[[str], bool], value: str, valid: bool) -> None:
    assert test(value) is valid


def identity(rng: random.Random) -> str:
    body = f"110105{rng.randint(1940, 2005)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(0, 999):03}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def test_generated_identity_numbers_are_found_and_slips_are_not() -> None:
    rng = random.Random(1)
    made = [identity(rng) for _ in range(200)]
    assert all(map(ids.identity_number, made))
    slipped = [value[:16] + str((int(value[16]) + 1) % 10) + value[17] for value in made]
    assert not any(map(ids.identity_number, slipped))


def test_a_column_is_judged_by_its_values_before_its_name() -> None:
    rng = random.Random(2)
    found = ids.propose("code", [identity(rng) for _ in range(100)])
    assert found is not None
    assert (found.kind, found.role, found.share, found.masking) == ("identity number", "direct", 100, "pseudonym")


def test_a_few_numbers_inside_texts_are_redacted_not_dropped() -> None:
    values = ["13912345678"] * 5 + ["called twice"] * 95
    found = ids.propose("note", values)
    assert found is not None
    assert (found.kind, found.masking) == ("mobile number", "redact")


@pytest.mark.parametrize(
    ("column", "kind", "role"),
    [
        ("姓名", "person's name", "direct"),
        ("id_card", "identity number", "direct"),
        ("出生日期", "date of birth", "quasi"),
        ("age", "age", "quasi"),
        ("性别", "sex", "quasi"),
        ("诊断", "health", "sensitive"),
        ("income", "money", "sensitive"),
    ],
)
def test_names_of_columns(column: str, kind: str, role: str) -> None:
    found = ids.propose(column, ["x", "y"])
    assert found is not None
    assert (found.kind, found.role) == (kind, role)


@pytest.mark.parametrize(
    "column", ["value", "storage", "package", "weight", "futime", "stage", "capacity", "trace_id", "syntax"]
)
def test_ordinary_columns_are_left_alone(column: str) -> None:
    assert ids.propose(column, [str(n) for n in range(1000, 2000)]) is None


def proposal(role: str) -> ids.Proposal:
    return ids.Proposal("c", "k", role, 100, "")


@pytest.mark.parametrize(
    ("roles", "level"),
    [
        ([], Classification.INTERNAL),
        (["quasi"], Classification.INTERNAL),
        (["quasi"] * 3, Classification.SENSITIVE),
        (["direct"], Classification.SENSITIVE),
        (["sensitive"], Classification.SENSITIVE),
        (["direct", "sensitive"], Classification.RESTRICTED),
    ],
)
def test_the_proposed_level(roles: list[str], level: Classification) -> None:
    assert ids.classification_of([proposal(role) for role in roles]) is level


CSV = "id,姓名,age,诊断,score\n1,张三,50,E11,1.5\n2,李四,61,I10,\n3,王五,47,E11,2.5\n"


def test_a_version_is_looked_at(world: World) -> None:
    world.register(content=CSV)
    looked = datasheet.look_at(world.db, world.settings, "nafld/1")
    assert looked.classification is Classification.RESTRICTED
    assert [(p.column, p.role) for p in looked.proposals["people"]] == [
        ("姓名", "direct"),
        ("age", "quasi"),
        ("诊断", "sensitive"),
    ]
    table = looked.profiles["people"]
    assert (table.rows, table.people) == (3, 3)
    by_name = {column.name: column for column in table.columns}
    assert (by_name["score"].missing, by_name["score"].low, by_name["score"].high, by_name["score"].mean) == (
        1,
        "1.5",
        "2.5",
        "2.0",
    )
    assert by_name["姓名"].low is None


def test_what_is_not_registered_cannot_be_looked_at(world: World) -> None:
    with pytest.raises(NotFound):
        datasheet.look_at(world.db, world.settings, "nafld/1")


def test_what_changed_is_said_in_sentences(world: World) -> None:
    world.register(content=CSV)
    world.register(content="id,姓名,age,score,extra\n" + "".join(f"{n},张三,{n + 40},{n}.5,x\n" for n in range(1, 11)))
    assert datasheet.changes(world.db, world.settings, "nafld/1", "nafld/2") == [
        "people: 3 → 10 rows (+233.3 %).",
        "people: 3 → 10 people (+233.3 %).",
        "people: column 诊断 is gone.",
        "people: column extra is new (VARCHAR).",
        "people.id: from 1 … 3 to 1 … 10.",
        "people.id: mean 2 → 5.5.",
        "people.id: about 3 → 10 different values.",
        "people.姓名: about 3 → 1 different values.",
        "people.age: from 47 … 61 to 41 … 50.",
        "people.age: mean 52.6667 → 45.5.",
        "people.age: about 3 → 10 different values.",
        "people.score: missing 33.3 % → 0.0 %.",
        "people.score: from 1.5 … 2.5 to 1.5 … 10.5.",
        "people.score: mean 2 → 6.",
        "people.score: about 2 → 10 different values.",
    ]
    assert datasheet.changes(world.db, world.settings, "nafld/1", "nafld/1") == []


def test_tables_come_go_and_change_type() -> None:
    column = ColumnProfile("a", "BIGINT", 0, 5)
    old = {"one": TableProfile("one", 5, None, (column,)), "two": TableProfile("two", 5, None, (column,))}
    new = {
        "two": TableProfile("two", 5, None, (ColumnProfile("a", "VARCHAR", 0, 5),)),
        "three": TableProfile("three", 7, None, ()),
    }
    assert differences(old, new) == [
        "Table one is gone.",
        "Table three is new, with 7 rows.",
        "two.a: type BIGINT → VARCHAR.",
    ]
