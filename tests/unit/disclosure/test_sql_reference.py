"""The examples of `docs/reference/sql.md` are taken, or refused, as it says; so are the words of its lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from egress_gate.disclosure import allowed
from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.errors import DerivationRefused

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "sql.md"
TEXT = PAGE.read_text(encoding="utf-8")
TAKEN = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
REFUSED = [line for block in re.findall(r"```sql refused\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
PEOPLE = {
    "id": "BIGINT",
    "sex": "VARCHAR",
    "age": "INTEGER",
    "region": "VARCHAR",
    "pay": "DOUBLE",
    "bonus": "DOUBLE",
    "since": "DATE",
}
CATALOGUE = {
    t.key: t
    for t in (
        TableSchema("d", "people", PEOPLE, "id"),
        TableSchema("d", "visits", {"id": "BIGINT", "kind": "VARCHAR", "cost": "DOUBLE"}, "id"),
    )
}
LIMITS = {"20,000": allowed.MAX_SQL, "3,000": allowed.MAX_NODES, "60 levels": allowed.MAX_DEPTH}


def test_there_are_examples() -> None:
    assert len(TAKEN) == 4
    assert len(REFUSED) == 10


@pytest.mark.parametrize("sql", TAKEN)
def test_what_the_page_shows_is_taken(sql: str) -> None:
    assert parse(sql, CATALOGUE).aggregates


@pytest.mark.parametrize("sql", REFUSED)
def test_what_the_page_calls_refused_is_refused_with_something_to_do(sql: str) -> None:
    with pytest.raises(DerivationRefused) as refused:
        parse(sql, CATALOGUE)
    assert refused.value.do


def test_every_function_that_is_allowed_for_a_row_is_on_the_page() -> None:
    functions = [
        t for t in allowed.ROW_EXPRESSIONS if hasattr(t, "sql_names") and t.__name__ not in ("And", "Or", "If")
    ]
    (row,) = (line for line in TEXT.splitlines() if line.startswith("| Keys, WHERE, FILTER"))
    other = {
        "trycast": "cast",
        "timestamptrunc": "date_trunc",
        "datetrunc": "date_trunc",
        "dayofweekiso": "isodow",
        "datediff": "date_diff",
    }
    other |= {"weekofyear": "week"}
    words = [n.lower() for t in functions for n in (t.sql_names()[0],)]
    missing = [w for w in words if all(other.get(n, n) not in row.casefold() for n in (w, w.replace("_", "")))]
    assert missing == []


def test_every_aggregate_that_is_allowed_is_on_the_page() -> None:
    (row,) = (line for line in TEXT.splitlines() if line.startswith("| Aggregates"))
    assert [name for name in set(allowed.AGGREGATES.values()) if f"`{name}" not in row] == []


@pytest.mark.parametrize(("shown", "meant"), LIMITS.items())
def test_limits_on_the_page_are_those_of_the_program(shown: str, meant: int) -> None:
    assert shown in TEXT
    assert int(re.sub(r"\D", "", shown)) == meant
