"""Records in a text, however they are laid out, and words about columns that are no records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from egress_gate.service.manual import object_rows, record_rows
from egress_gate.service.ports import SourceTable

COLUMNS = tuple({"name": n, "type": "BIGINT", "meaning": ""} for n in ("id", "age", "sex", "weight"))
SOURCES = (SourceTable("nafld", "nafld/1", 3, ("stella",), "nafld1", Path("x"), "e" * 64, "id", COLUMNS, 17_549),)
ROWS = [(n, 40 + n, n % 2, 70 + n) for n in range(8)]
HEADER = ("ID", "age", "sex", "weight")


def laid_out(between: str, header: tuple[str, ...] = HEADER) -> str:
    return "\n".join(between.join(str(f) for f in row) for row in [header, *ROWS])


@pytest.mark.parametrize(
    "text",
    [
        laid_out(","),
        laid_out("\t"),
        laid_out(" ; ").replace(" ; ", ";"),
        "Results, in short, are below,\n\n" + laid_out(","),
        "a,b,c\n1,2,3\n" + laid_out(";"),
        laid_out("   "),
        "Our table:\n"
        + "\n".join(f"{'' if n == 0 else n}  {line}" for n, line in enumerate(laid_out("  ").split("\n"))),
        "# Notes\n" + "\n".join(f"| {line} |" for line in laid_out(" | ").split("\n")),
    ],
)
def test_records_are_found(text: str) -> None:
    assert record_rows(text, SOURCES) >= 5


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["Columns:", *(f"- {n}" for n in ("id", "age", "sex", "weight", "height", "blood", "site"))]),
        "\n".join(["| column | meaning |", "|---|---|", *(f"| {n} | a word |" for n in (*HEADER, "a", "b", "c"))]),
        "We looked at id and age of people\n" + "and found nothing that is of any note\n" * 9,
        "sex n\n0 12\n1 14\n",
    ],
)
def test_words_about_columns_are_no_records(text: str) -> None:
    assert record_rows(text, SOURCES) == 0


OBJECTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS),
        json.dumps({"deep": {"down": [{"rows": OBJECTS}]}}),
        "\n".join(json.dumps(o) for o in OBJECTS),
        " \n" + json.dumps(OBJECTS, indent=2),
    ],
)
def test_records_as_objects_are_found(text: str) -> None:
    assert object_rows(text, SOURCES) == len(ROWS)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[1, 2]", json.dumps(OBJECTS[:2]), json.dumps({"model": {"r2": 0.4}})]
)
def test_other_json_is_no_record(text: str) -> None:
    assert object_rows(text, SOURCES) == 0
