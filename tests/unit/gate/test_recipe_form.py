"""A masking recipe through its form: what is typed becomes what provisioning reads, and an earlier recipe fills the form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egress_gate.desk.kept_form import Sent
from egress_gate.desk.recipe_form import fields_of, recipe_of
from egress_gate.service.errors import Malformed
from provisioning.domain import masking

RULES: list[tuple[str, str, dict[str, Any]]] = [
    ("drop", "", {}),
    ("pseudonym", "", {}),
    ("redact", "", {}),
    ("bins", "18, 40.5，65", {"edges": [18, 40.5, 65]}),
    ("bins", "-5, 5", {"edges": [-5, 5]}),
    ("truncate", "year", {"to": "year"}),
    ("prefix", "4", {"length": 4}),
    ("prefix", "4, 0", {"length": 4, "fill": "0"}),
    ("hierarchy", "icd10.csv, chapter", {"file": "icd10.csv", "to": "chapter", "missing": "refuse"}),
    ("hierarchy", "i.csv, up, other, 3", {"file": "i.csv", "to": "up", "missing": "other", "length": 3}),
    ("clip", "0..100", {"low": 0, "high": 100}),
    ("clip", "..99.5", {"high": 99.5}),
    ("shift", "30", {"days": 30}),
    ("round", "0.5", {"base": 0.5}),
    ("noise", "2", {"sd": 2}),
]


def sent(**fields: str | tuple[str, ...]) -> Sent:
    return Sent("delivery", {k: (v,) if isinstance(v, str) else v for k, v in fields.items()})


@pytest.mark.parametrize(("word", "text", "body"), RULES)
def test_a_rule_is_read_and_shown_again(word: str, text: str, body: dict[str, Any]) -> None:
    form = sent(**{"do.0.c.d": word, "with.0.c.d": text, "quasi.0": ("a,b", "e"), "sensitive.0": "f"})
    made = recipe_of(form, ["t"])
    assert made == {"t": {"columns": {"c.d": {"do": word, **body}}, "quasi": ["a,b", "e"], "sensitive": "f"}}
    again = recipe_of(Sent("delivery", fields_of(made, ["t"])), ["t"])
    assert again == made
    given = b"code,chapter,up\nA,B,C\n"
    masking.parse(json.dumps(made), lambda _: given)


def test_every_rule_that_provisioning_knows_is_in_the_form() -> None:
    assert {word for word, _, _ in RULES} == set(masking._WORDS)


@pytest.mark.parametrize(
    ("word", "text"),
    [("bins", "a, b"), ("clip", "100"), ("clip", "low..high"), ("shift", ""), ("shift", "1.5"), ("round", "much"),
     ("prefix", ""), ("noise", "1e"), ("hierarchy", "a.csv, up, other, few")],
)  # fmt: skip
def test_what_a_rule_cannot_work_with_is_refused(word: str, text: str) -> None:
    with pytest.raises(Malformed):
        recipe_of(sent(**{"do.0.c": word, "with.0.c": text}), ["t"])


@pytest.mark.parametrize(
    ("word", "text"),
    [("bins", ""), ("bins", "nan"), ("clip", ".."), ("truncate", "hour"), ("obey", "me"), ("round", "inf")],
)
def test_the_rest_is_provisionings_to_refuse(word: str, text: str) -> None:
    made = recipe_of(sent(**{"do.0.c": word, "with.0.c": text}), ["t"])
    with pytest.raises(masking.RegistrationRefused):
        masking.parse(json.dumps(made))


def test_tables_are_told_apart_and_those_without_rules_left_out() -> None:
    made = recipe_of(sent(**{"do.1.c": "drop", "do.0.c": "", "do.12.c": "drop"}), ["t", "u"])
    assert made == {"u": {"columns": {"c": {"do": "drop"}}, "quasi": []}}
