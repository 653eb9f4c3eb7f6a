"""Ways to carry a record out in a text so that the scan does not know it again, and to ask the scan what the data holds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scanned import Scanner

Spelling = Callable[[Mapping[str, str]], str]
DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Scanner:
    return Scanner(tmp_path_factory.mktemp("scan"))


def row(one: Mapping[str, str], between: str = ",") -> str:
    return between.join(one.values())


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[n : n + width] for n in range(0, len(text), width))


SPELLINGS: dict[str, Spelling] = {
    "as it is": row,
    "in words": lambda r: (
        f"A patient aged {r['age']}, {r['weight']} kg, stayed {r['days']} days and cost {r['cost']} euros."
    ),
    "without who": lambda r: f"{r['age']} {r['weight']} {r['cost']} {r['days']}",
    "in another order": lambda r: " | ".join(reversed(r.values())),
    "one value a line": lambda r: row(r, "\n"),
    "with a word each": lambda r: "\n".join(f"The {k} is {v}." for k, v in r.items()),
    "as JSON": lambda r: "{" + ", ".join(f'"c{n}": "{v}"' for n, v in enumerate(r.values())) + "}",
    "as code": lambda r: f"x = [{r['age']}, {r['weight']}, {r['cost']}, {r['days']}]  # sizes",
    "base64": lambda r: base64.b64encode(row(r).encode()).decode(),
    "base64 for addresses": lambda r: base64.urlsafe_b64encode(row(r).encode()).decode().rstrip("="),
    "base64 in lines": lambda r: wrapped(base64.b64encode((row(r) + "\n" + row(r)).encode()).decode(), 40),
    "hexadecimal": lambda r: row(r).encode().hex(),
    "base64 of hexadecimal": lambda r: base64.b64encode(row(r).encode().hex().encode()).decode(),
    "with invisible signs": lambda r: "\u200b".join(row(r)),
    "with soft hyphens": lambda r: "\u00ad".join(row(r)),
    "reversed": lambda r: row(r)[::-1],
    "each value reversed": lambda r: " ".join(v[::-1] for v in r.values()),
    "in Chinese numerals": lambda r: (
        f"{r['age']}岁，体重{r['weight'].replace('.', '点')}，{r['days']}天，{r['cost'].replace('.', '点')}元".translate(
            DIGITS
        )
    ),
    "in full width": lambda r: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in row(r)),
    "as entities": lambda r: "".join(f"&#{ord(c)};" for c in row(r)),
    "as escapes": lambda r: "".join(f"\\u{ord(c):04x}" for c in row(r)),
    "as per cent": lambda r: "".join(f"%{ord(c):02x}" for c in row(r)),
    "with grouped digits": lambda r: f"{int(r['id']):,}; {int(r['days']):,}; {float(r['cost']):,.2f}; {r['weight']}",
    "with decimal commas": lambda r: (
        f"{r['age']}; {r['weight'].replace('.', ',')}; {r['cost'].replace('.', ',')}; {r['days']}"
    ),
    "with exponents": lambda r: f"{float(r['days']):e} {float(r['cost']):e} {float(r['weight']):e} {float(r['age']):e}",
    "as hexadecimal numbers": lambda r: f"{int(r['id']):#x} {int(r['age']):#x} {int(r['days']):#x}",
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_record_is_known_however_it_is_spelt(scanner: Scanner, how: str) -> None:
    found = scanner("# Notes\n\n" + SPELLINGS[how](scanner.record(1234)) + "\n\nThat is all.\n").evidence
    assert found.records >= 1
    assert found.record_bits >= 7
    assert found.found[0].people == 1


@settings(max_examples=20, deadline=None)
@given(
    number=st.integers(1, 3000),
    how=st.sampled_from(sorted(SPELLINGS)),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_any_record_is_known_between_any_words(
    scanner: Scanner, number: int, how: str, before: str, after: str
) -> None:
    found = scanner(f"{before}\n\n{SPELLINGS[how](scanner.record(number))}\n\n{after}").evidence
    assert found.record_bits >= 7


def test_a_record_in_any_cell_is_found_with_its_cell(scanner: Scanner) -> None:
    found = scanner("import numpy", "x = 1", "print('" + row(scanner.record(77)) + "')").evidence
    assert (found.found[0].where, found.found[0].line) == ("2", 1)


def test_records_as_columns_are_found(scanner: Scanner) -> None:
    people = [scanner.record(n) for n in (5, 900, 2100)]
    text = "\n".join(",".join(p[name] for p in people) for name in people[0])
    assert scanner(text).evidence.records >= 3


def test_hidden_bytes_are_counted(scanner: Scanner) -> None:
    secret = bytes((7 * n * n + n) % 251 for n in range(600))
    assert scanner("key: " + base64.b64encode(secret).decode()).opaque_bytes >= 500


def test_a_name_of_the_data_is_found_without_case_and_accents(scanner: Scanner) -> None:
    found = scanner("I thank KOWALCZYK-1235 for the talk.").evidence
    assert [(c["column"], c["values"]) for c in found.columns] == [("name", 1)]


def test_a_text_longer_than_the_limit_is_not_called_scanned(scanner: Scanner) -> None:
    assert scanner("nothing to see here\n" * 40_000 + row(scanner.record(1234))).share < 1


def test_many_values_of_a_column_are_no_coincidence(scanner: Scanner) -> None:
    found = scanner("\n".join(scanner.record(n)["cost"] for n in range(1, 2400, 80))).evidence
    assert found.value_bits >= 15
    assert found.values >= 20


@pytest.mark.parametrize(
    "place",
    ["README.md", "docs/how-to/operate.md", "egress_gate/domain/request.py", "docs/explanation/threat-model.md"],
)
def test_ordinary_prose_and_code_resemble_nothing(scanner: Scanner, place: str) -> None:
    made = scanner((Path(__file__).parents[2] / place).read_text("utf-8"))
    assert made.share == 1
    assert (made.evidence.records, made.evidence.columns, made.evidence.together_bits) == (0, (), 0.0)
