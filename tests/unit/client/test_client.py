"""The library inside a sandbox, against a gate on a unix socket: refusals as sentences first."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from egress_gate.domain.finding import FOR_STEWARDS
from tests.unit.client.conftest import CLIENT, REHEARSAL, Gate

REFUSAL = {"code": "refused", "what": "R-9 was not submitted.", "why": "It has <no> title.", "do": "Name it."}


def test_a_refusal_shows_three_sentences_and_no_traceback(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/requests"] = (422, REFUSAL)
    with pytest.raises(glovebox.Refused) as refused:
        glovebox.release("SELECT 1", title="t", purpose="p")
    assert refused.value._render_traceback_() == [
        "Refused: R-9 was not submitted.\nWhy: It has <no> title.\nWhat to do: Name it."
    ]
    assert "&lt;no&gt;" in refused.value._repr_html_()
    assert refused.value.code == "refused"


def test_without_a_gate_it_says_so(glovebox: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOVEBOX_INNER", str(tmp_path / "nobody.sock"))
    with pytest.raises(glovebox.GateUnreachable, match="could not be asked"):
        glovebox.tables()


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, b"boom"), (502, {"other": 1}), (500, [])])
def test_an_answer_in_another_shape_is_an_error(
    glovebox: ModuleType, gate: type[Gate], answer: tuple[int, Any]
) -> None:
    gate.answers["GET", "/v1/tables"] = answer
    with pytest.raises(glovebox.GloveboxError):
        glovebox.tables()


@pytest.mark.parametrize("arguments", [{}, {"title": "t"}, {"purpose": "p"}, {"title": " ", "purpose": "p"}])
def test_a_release_needs_title_and_purpose(glovebox: ModuleType, gate: type[Gate], arguments: dict[str, str]) -> None:
    with pytest.raises(glovebox.GloveboxError, match="Nothing was asked for"):
        glovebox.release("SELECT 1", **arguments)
    assert not gate.asked


@pytest.mark.parametrize("what", [42, None, "", [object()], {"a": 3.5}])
def test_what_is_not_sql_is_not_asked_for(glovebox: ModuleType, gate: type[Gate], what: Any) -> None:
    with pytest.raises(glovebox.GloveboxError, match="cannot be asked for"):
        glovebox.release(what, title="t", purpose="p")
    assert not gate.asked


def test_a_file_over_twenty_mebibytes_stays(glovebox: ModuleType, gate: type[Gate], tmp_path: Path) -> None:
    big = tmp_path / "model.bin"
    big.touch()
    import os

    os.truncate(big, 20 * 1024**2 + 1)
    with pytest.raises(glovebox.GloveboxError, match="larger than 20 MiB"):
        glovebox.release(big, title="t", purpose="p")
    assert not gate.asked


def test_release_sends_named_items_and_a_key(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-17", "state": "submitted", "title": "t"})
    made = glovebox.release({"by_sex": "SELECT 1", "by_age": "SELECT 2"}, title="t", purpose="p", context="c")
    assert [(method, path) for method, path, *_ in gate.asked] == [REHEARSAL, ("POST", "/v1/requests")]
    assert gate.asked[0][2] == gate.asked[1][2]
    method, path, body, headers = gate.asked[1]
    assert (method, path) == ("POST", "/v1/requests")
    assert [item["name"] for item in body["items"]] == ["by_sex", "by_age"]
    assert body["items"][0] == {"name": "by_sex", "kind": "table", "sql": "SELECT 1", "expected": None}
    assert (body["title"], body["purpose"], body["context"]) == ("t", "p", "c")
    assert len(headers["Idempotency-Key"]) == 32
    assert made.id == "R-17"
    assert "submitted" in repr(made)


def test_what_would_be_refused_is_not_sent(glovebox: ModuleType, gate: type[Gate]) -> None:
    told = {"code": "would-be-refused", "what": "Nothing was sent.", "why": "t: One cell is small.", "do": "Combine."}
    gate.answers[REHEARSAL] = (422, told)
    with pytest.raises(glovebox.Refused, match="One cell is small"):
        glovebox.release("SELECT 1", title="t", purpose="p")
    assert [path for _, path, *_ in gate.asked] == ["/v1/rehearsal"]


def test_what_would_be_hidden_is_said_beside_the_request_until_it_is_judged(
    glovebox: ModuleType, gate: type[Gate]
) -> None:
    cells = [{"key": {"sex": "F"}, "suppressed": "primary"}, {"key": {"sex": "M"}, "suppressed": None}]
    seen = {"name": "t", "findings": [], "preview": {"cells": cells, "suppressed": 1, "findings": []}}
    gate.answers[REHEARSAL] = (200, {"outcome": "review", "outputs": [seen], "reasons": [], "away": ""})
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-1", "state": "submitted", "title": "t"})
    gate.answers["GET", "/v1/requests/R-1"] = (200, {"id": "R-1", "state": "in_review", "title": "t"})
    made = glovebox.release({"t": "SELECT 1"}, title="t", purpose="p")
    assert "t: 1 of 2 cells would be hidden; sex = F." in repr(made)
    assert "would be hidden" not in repr(made.refresh())


def test_without_a_rehearsal_the_check_itself_refuses(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-1", "state": "submitted", "title": "t"})
    glovebox.release("SELECT 1", title="t", purpose="p", rehearse=False)
    assert [path for _, path, *_ in gate.asked] == ["/v1/requests"]


def test_a_file_goes_to_the_store_first(glovebox: ModuleType, gate: type[Gate], tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_bytes(b"hello")
    gate.answers["PUT", "/v1/uploads"] = (201, {"sha256": "ab" * 32})
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-1", "state": "submitted"})
    glovebox.release(file, title="t", purpose="p")
    assert gate.asked[0][2] == b"hello"
    assert gate.asked[1][2]["items"] == [{"name": "notes.md", "kind": "file", "upload": "ab" * 32}]


def test_a_request_shows_where_it_stands_and_why(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["GET", "/v1/requests/R-17"] = (200, {
        "id": "R-17", "state": "refused", "title": "cells <3>",
        "items": [{"name": "a", "findings": [{"message": "2 cells have too few people.", "remedy": "Group wider."}]}],
        "reasons": [{"code": "x", "message": "Too small.", "remedy": "Group wider."}],
        "waiting_because": None, "reviews": [], "messages": [],
    })  # fmt: skip
    shown = glovebox.request("R-17")
    assert "2 cells have too few people. Group wider." in repr(shown)
    assert "Too small." in shown._repr_html_()
    assert "&lt;3&gt;" in shown._repr_html_()


def test_withdraw_asks_the_gate(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["GET", "/v1/requests/R-17"] = (200, {"id": "R-17", "state": "in_review", "title": "t"})
    gate.answers["POST", "/v1/requests/R-17/withdraw"] = (200, {"id": "R-17", "state": "withdrawn"})
    assert glovebox.request("R-17").withdraw().state == "withdrawn"


def test_requests_are_a_table(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["GET", "/v1/requests"] = (200, {"requests": [{"id": "R-2", "state": "released", "title": "a"}]})
    assert "R-2" in repr(glovebox.requests())
    assert "<table>" in glovebox.requests()._repr_html_()


def test_a_preview_names_what_would_be_hidden(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/preview"] = (200, {
        "cells": [{"key": {"sex": "f"}, "suppressed": "primary"}, {"key": {"sex": "m"}, "suppressed": None}],
        "findings": [{"rule": "minimum-contributors", "message": "One cell has too few people."}], "suppressed": 1,
    })  # fmt: skip
    shown = repr(glovebox.preview("SELECT 1"))
    assert "1 of 2 cells would be hidden." in shown
    assert "sex = f" in shown
    assert "sex = m" not in shown


@pytest.fixture
def two_tables(gate: type[Gate], tmp_path: Path) -> None:
    made = []
    for dataset, table, rows in (("nafld", "nafld1", 3), ("nafld", "shared", 2), ("other", "shared", 1)):
        path = tmp_path / f"{dataset}-{table}.parquet"
        duckdb.sql("SELECT range AS id FROM range($rows)", params={"rows": rows}).write_parquet(str(path))
        columns = [{"name": "id", "type": "BIGINT"}]
        made.append({
            "dataset": dataset, "version": f"{dataset}/1", "table": table, "path": str(path), "rows": rows,
            "columns": columns, "unit": "id",
        })  # fmt: skip
    gate.answers["GET", "/v1/tables"] = (200, {"tables": made})


@pytest.mark.usefixtures("two_tables")
def test_tables_are_views_by_both_names_where_clear(glovebox: ModuleType) -> None:
    assert glovebox.sql("SELECT count(*) FROM nafld.nafld1").fetchall() == [(3,)]
    assert glovebox.sql("SELECT count(*) FROM nafld1").fetchall() == [(3,)]
    assert glovebox.sql("SELECT count(*) FROM other.shared").fetchall() == [(1,)]
    with pytest.raises(glovebox.GloveboxError, match="did not run"):
        glovebox.sql("SELECT count(*) FROM shared")


@pytest.mark.usefixtures("two_tables")
def test_sql_takes_parameters_and_says_what_is_wrong(glovebox: ModuleType) -> None:
    assert glovebox.sql("SELECT count(*) FROM nafld1 WHERE id >= $least", least=1).fetchall() == [(2,)]
    with pytest.raises(glovebox.GloveboxError) as mistake:
        glovebox.sql("SELECT nope FROM nafld1")
    assert "nope" in mistake.value.why


@pytest.mark.usefixtures("two_tables")
def test_tables_show_well(glovebox: ModuleType) -> None:
    listed = glovebox.tables()
    assert "nafld.nafld1" in repr(listed)
    assert "privacy unit" in listed._repr_html_()
    assert listed["nafld1"].rows == 3
    with pytest.raises(glovebox.GloveboxError):
        listed["shared"]


def test_every_finding_has_words_for_whoever_asked(glovebox: ModuleType) -> None:
    words = importlib.import_module("glovebox.findings").WORDS
    rules = json.loads((CLIENT.parents[2] / "policies" / "data" / "rules.json").read_text("utf-8"))["rules"]
    assert set(rules) - set(words) - FOR_STEWARDS == set()
    assert not FOR_STEWARDS & set(words)
    assert all(said.endswith(".") for said in words.values())


@pytest.mark.usefixtures("two_tables")
def test_a_shown_answer_names_the_gates_bytes(glovebox: ModuleType, gate: type[Gate]) -> None:
    import hashlib

    raw = json.dumps(gate.answers["GET", "/v1/tables"][1]).encode()
    kind = "application/vnd.glovebox.answer+json"
    assert glovebox.tables()._repr_mimebundle_() == {kind: {"digest": hashlib.sha256(raw).hexdigest()}}
    gate.answers["GET", "/v1/requests/R-1"] = (200, {"id": "R-1", "state": "refused"})
    assert set(glovebox.request("R-1")._repr_mimebundle_()) == {kind}


@pytest.fixture
def people(gate: type[Gate], tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    duckdb.sql("SELECT range AS id, range % 2 AS male, range % 3 AS stage, range AS age FROM range(60)").write_parquet(
        str(path)
    )
    table = {
        "dataset": "nafld",
        "version": "nafld/1",
        "table": "people",
        "path": str(path),
        "rows": 60,
        "columns": [],
        "unit": "id",
    }
    gate.answers["GET", "/v1/tables"] = (200, {"tables": [table]})


@pytest.mark.usefixtures("people")
def test_pandas_style_tables_are_sql_underneath(glovebox: ModuleType) -> None:
    by = glovebox.groupby("people", "male", where="stage < 2").agg(n="count", mean_age=("age", "mean"))
    assert by.sql == (
        'SELECT "male", count(*) AS "n", avg("age") AS "mean_age"\nFROM "people"\n'
        'WHERE "male" IS NOT NULL AND (stage < 2)\nGROUP BY "male"\nORDER BY 1'
    )
    assert list(by.df()["n"]) == [20, 20]
    crossed = glovebox.crosstab("nafld.people", "male", "stage").df()
    assert crossed.shape == (2, 3)
    assert glovebox.pivot_table("people", values="age", index="male", aggfunc="sum").df()["age"].sum() == 1770


@pytest.mark.usefixtures("people")
def test_a_compiled_table_is_released_as_its_sql(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-3", "state": "submitted"})
    table = glovebox.crosstab("people", "male", "stage", margins=True)
    assert "CUBE" in table.sql
    glovebox.release({"t": table}, title="t", purpose="p")
    table.release(title="t", purpose="p")
    sent = [asked[2]["items"][0]["sql"] for asked in gate.asked if asked[1] == "/v1/requests"]
    assert sent == [table.sql, table.sql]


@pytest.mark.parametrize(
    "call",
    [
        lambda g: g.groupby("people; DROP", "a"),
        lambda g: g.groupby("a.b.c", "a").size(),
        lambda g: g.groupby("people", "a").agg(x="mode"),
        lambda g: g.crosstab("people", "a", "b", aggfunc="sum"),
        lambda g: g.groupby("people", [3]).size(),
    ],
)
def test_what_cannot_be_compiled_says_so(glovebox: ModuleType, call: Any) -> None:
    with pytest.raises(glovebox.GloveboxError):
        getattr(call(glovebox), "size", lambda: None)()


@pytest.mark.usefixtures("people")
def test_a_regression_is_fitted_here_and_asked_for_as_formula_and_rows(glovebox: ModuleType, gate: type[Gate]) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-4", "state": "submitted"})
    fit = glovebox.ols("log(age + 1) ~ C(stage) + male", "SELECT age + 1 AS age, stage, male FROM people")
    assert list(fit.df().index) == ["Intercept", "C(stage)[T.1]", "C(stage)[T.2]", "male"]
    named = glovebox.ols("age ~ C(stage, Treatment(1)) + male", "people")
    assert named.sql == 'SELECT "age", "male", "stage"\nFROM "people"'
    assert "age" in named.summary().as_text()
    named.release(title="t", purpose="p")
    glovebox.release({"model": fit}, title="t", purpose="p")
    sent = [asked[2]["items"][0] for asked in gate.asked if asked[1] == "/v1/requests"]
    assert sent[0] == {
        "name": "regression1",
        "kind": "regression",
        "sql": named.sql,
        "formula": "age ~ C(stage, Treatment(1)) + male",
        "family": "ols",
    }
    assert sent[1]["name"] == "model"


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("formula", ["age", "age ~ height"])
def test_a_formula_that_names_nothing_says_so(glovebox: ModuleType, gate: type[Gate], formula: str) -> None:
    table = gate.answers["GET", "/v1/tables"][1]["tables"][0]
    table["columns"] = [{"name": n} for n in ("id", "male", "stage", "age")]
    with pytest.raises(glovebox.GloveboxError):
        glovebox.ols(formula, "people")


@pytest.mark.usefixtures("people")
def test_a_figure_is_asked_for_as_specification_and_table_without_its_data(
    glovebox: ModuleType, gate: type[Gate]
) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-5", "state": "submitted"})
    encoding = {"x": {"field": "male", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}}
    spec = {
        "$schema": "s",
        "data": {"values": [{"male": 7}]},
        "config": {"view": {}},
        "mark": "bar",
        "encoding": encoding,
    }
    table = glovebox.groupby("people", "male").size()
    made = glovebox.figure(spec, table)
    made.release(title="t", purpose="p")
    (sent,) = [asked[2]["items"][0] for asked in gate.asked if asked[1] == "/v1/requests"]
    clean = {"mark": "bar", "encoding": encoding}
    assert sent == {"name": "figure1", "kind": "figure", "sql": table.sql, "spec": clean}
    assert list(made.df()["n"]) == [30, 30]


@pytest.mark.parametrize("asked", [("bar", "SELECT 1"), ({"mark": "bar"}, 3), ({"mark": "bar"}, "")])
def test_what_is_no_figure_says_so(glovebox: ModuleType, asked: tuple[Any, Any]) -> None:
    with pytest.raises(glovebox.GloveboxError):
        glovebox.figure(*asked)


@pytest.mark.usefixtures("two_tables")
def test_tables_say_when_their_rows_are_synthetic(glovebox: ModuleType) -> None:
    listed = glovebox.tables()
    assert "Synthetic" not in repr(listed) + listed._repr_html_()
    listed.told = {**listed.told, "works_on": "twin"}
    assert repr(listed).startswith("Synthetic twin")
    assert "about nobody" in listed._repr_html_()


def test_protection_goes_with_tables_and_previews(glovebox: ModuleType, gate: type[Gate], tmp_path: Path) -> None:
    gate.answers["POST", "/v1/requests"] = (201, {"id": "R-1", "state": "submitted"})
    gate.answers["POST", "/v1/preview"] = (200, {"cells": [], "protection": {"method": "round", "base": 15}})
    gate.answers["PUT", "/v1/uploads"] = (201, {"sha256": "a" * 64})
    note = tmp_path / "note.txt"
    note.write_text("words", "utf-8")
    noise = {"method": "noise", "bounds": {"pay": [0, 90]}}
    glovebox.release({"t": "SELECT 1", "note": note}, title="t", purpose="p", protection=noise)
    table, file = next(sent for _, path, sent, _ in gate.asked if path == "/v1/requests")["items"]
    assert table["protection"] == noise
    assert "protection" not in file
    assert "multiples of 15" in repr(glovebox.preview("SELECT 1", protection="round"))
    with pytest.raises(glovebox.GloveboxError):
        glovebox.release("SELECT 1", title="t", purpose="p", protection="none")
