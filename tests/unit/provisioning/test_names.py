"""Names become folders, mounts and relations: everything else is refused, in three parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain import names
from provisioning.domain.classification import Classification, classification
from provisioning.domain.dataset import digest_of, parse_version, version_id
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.people import FIRST_UID, next_uid
from provisioning.domain.registration import Registration, TableSource

ABSURD = [
    "",
    "..",
    "../etc",
    "a/b",
    "A",
    "1a",
    "a b",
    "a\n",
    "a\0",
    "名",
    "a" * 64,
    "-a",
    ".hidden",
    "a'; DROP TABLE x--",
    "a.b",
]


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_names_are_refused(name: str) -> None:
    for check in (lambda: names.slug("dataset", name), lambda: names.table(name)):
        with pytest.raises(RegistrationRefused) as refused:
            check()
        assert all(refused.value.public().values())


@given(st.text(max_size=80))
def test_what_is_accepted_is_one_plain_path_component(name: str) -> None:
    try:
        accepted = names.slug("dataset", name)
    except RegistrationRefused:
        return
    assert accepted == name
    assert Path("/x") / name == Path(f"/x/{name}")
    assert name.isascii()
    assert ".." not in name


@pytest.mark.parametrize(
    "text", ["nafld", "nafld/0", "nafld/01", "../x/1", "nafld/1/..", "nafld/-1", "nafld/1\n", "", "NAFLD/1"]
)
def test_what_is_not_a_version_is_refused(text: str) -> None:
    with pytest.raises(RegistrationRefused):
        parse_version(text)


def test_a_version_reads_back() -> None:
    assert parse_version(version_id("nafld", 12)) == ("nafld", 12)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["id", "id"], "1 and 2"),
        (["id", "ID"], "1 and 2"),
        (["id", " id "], "1 and 2"),
        (["id", ""], "2"),
        (["id", "a\u200bb"], "2"),
        (["id", 'a"b'], "2"),
        (["id", "x" * 121], "2"),
        ([], "0 columns"),
        (["c"] * 4001, "4001"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(header: list[str], named: str) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        names.columns("people", header)
    assert named in refused.value.why


def test_headers_of_any_language_are_kept() -> None:
    assert names.columns("people", ["身份证号", " 姓名 ", "Größe (cm)"]) == ["身份证号", "姓名", "Größe (cm)"]


@pytest.mark.parametrize("value", [0, 5, "secret", None, True, 3.5, ""])
def test_unknown_classifications_are_refused(value: object) -> None:
    with pytest.raises(RegistrationRefused):
        classification(value)


def test_a_classification_by_number_or_word() -> None:
    assert {classification(v) for v in (3, "3", "sensitive", "Sensitive")} == {Classification.SENSITIVE}


def test_a_user_id_is_never_given_twice() -> None:
    given_out = [next_uid(None)]
    for _ in range(5):
        given_out.append(next_uid(max(given_out)))
    assert given_out == list(range(FIRST_UID, FIRST_UID + 6))


def test_the_versions_digest_depends_on_names_and_contents_not_on_order() -> None:
    assert digest_of([("a", "1"), ("b", "2")]) == digest_of([("b", "2"), ("a", "1")])
    assert len({digest_of([("a", "1"), ("b", "2")]), digest_of([("a", "2"), ("b", "1")]), digest_of([("a", "1")])}) == 3


def registration(**changes: object) -> Registration:
    table = TableSource("people", (Path("people.csv"),), unit="id")
    wanted: dict[str, object] = {
        "dataset": "nafld",
        "title": "T",
        "description": "D",
        "provider": "P",
        "classification": 3,
        "stewards": ("stella",),
        "tables": (table,),
    }
    return Registration(**{**wanted, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "../nafld"},
        {"title": "  "},
        {"description": "bell\a"},
        {"provider": ""},
        {"classification": 0},
        {"stewards": ()},
        {"stewards": ("no such/person",)},
        {"tables": ()},
        {"tables": (TableSource("people", (), unit="id"),)},
        {"tables": (TableSource("people", (Path("people.csv"),)),)},
        {"tables": (TableSource("people", (Path("people.csv"),), unit="id", each_row_a_unit=True),)},
        {"tables": (TableSource("people", (Path("people.docx"),), unit="id"),)},
        {"tables": (TableSource("people", (Path("a.csv"), Path("b.parquet")), unit="id"),)},
        {
            "tables": (
                TableSource("people", (Path("a.csv"),), unit="id"),
                TableSource("people", (Path("b.csv"),), unit="id"),
            )
        },
        {"tables": (TableSource("people", (Path("a.csv"),), unit="id", format="exe"),)},
    ],
)
def test_incomplete_registrations_are_refused_in_three_parts(changes: dict[str, object]) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        registration(**changes).checked()
    assert all(refused.value.public().values())


def test_a_whole_registration_passes_trimmed() -> None:
    checked = registration(title="  Cohort ", classification="sensitive", stewards=("b", "a", "a")).checked()
    assert (checked.title, checked.classification, checked.stewards) == ("Cohort", 3, ("a", "b"))
