"""pandas' own parameters: each call beside pandas on the same records, and its SQL before the gate's own parser. Refusals first."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pandas as pd
import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from tests.unit.client.conftest import Gate

PEOPLE = pd.DataFrame({
    "id": range(60),
    "sex": ["f", "m", "m"] * 20,
    "stage": [n % 4 for n in range(60)],
    "region": [None if n % 11 == 0 else "NESW"[n % 7 % 4] for n in range(60)],
    "age": [float("nan") if n % 13 == 0 or n % 12 == 5 else 20.0 + n * 7 % 50 for n in range(60)],
    "pay": [n * 37 % 101 - 10 for n in range(60)],
})  # fmt: skip
TYPES = {"id": "BIGINT", "sex": "VARCHAR", "stage": "BIGINT", "region": "VARCHAR", "age": "DOUBLE", "pay": "BIGINT"}
CATALOGUE = {"study.people": TableSchema("study", "people", TYPES, "id")}


@pytest.fixture
def client(glovebox: ModuleType, gate: type[Gate], tmp_path: Path) -> ModuleType:
    path = tmp_path / "people.parquet"
    duckdb.from_df(PEOPLE).project("* REPLACE (CASE WHEN isnan(age) THEN NULL ELSE age END AS age)").write_parquet(
        str(path)
    )
    table = {
        "dataset": "study", "version": "study/1", "table": "people", "path": str(path), "rows": 60, "columns": list(TYPES), "unit": "id",
    }  # fmt: skip
    gate.answers["GET", "/v1/tables"] = (200, {"tables": [table]})
    return glovebox


def _pivot(**words: Any) -> Any:
    return (lambda g: g.pivot_table("people", **words)), (lambda: pd.pivot_table(PEOPLE, **words))


def _cross(index: Any, columns: Any, values: str | None = None, **words: Any) -> Any:
    sides = [[PEOPLE[n] for n in side] if isinstance(side, list) else PEOPLE[side] for side in (index, columns)]
    kept = {} if values is None else {"values": PEOPLE[values]}
    return (lambda g: g.crosstab("people", index, columns, values, **words)), (
        lambda: pd.crosstab(*sides, **kept, **words)
    )


def _group(by: Any, ask: Callable[[Any], Any], **words: Any) -> Any:
    return (lambda g: ask(g.groupby("people", by, **words))), (lambda: ask(PEOPLE.groupby(by, **words)))


ALIKE: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "pivot one": _pivot(values="pay", index="sex", columns="stage"),
    "pivot margins": _pivot(values="pay", index="sex", columns="stage", aggfunc="sum", margins=True, margins_name="Total"),
    "pivot margins of two keys": _pivot(values="pay", index=["sex", "region"], columns="stage", aggfunc="sum", margins=True),
    "pivot margins of two above": _pivot(values="pay", index="sex", columns=["stage", "region"], aggfunc="median", margins=True),
    "pivot margins without columns": _pivot(values=["pay"], index=["sex", "stage"], aggfunc="mean", margins=True),
    "pivot mean with missing, margins": _pivot(values="age", index="region", columns="stage", margins=True),
    "pivot several functions": _pivot(values="age", index="sex", columns="stage", aggfunc=["mean", "std", "count"]),
    "pivot several values": _pivot(values=["pay", "age"], index="sex", columns="stage", aggfunc="var"),
    "pivot several of each, margins": _pivot(values=["pay", "stage"], index="sex", columns="region", aggfunc=["min", "max"], margins=True),
    "pivot dictionary": _pivot(index="sex", columns="stage", aggfunc={"age": "mean", "pay": "sum"}),
    "pivot dictionary of lists": _pivot(index="sex", aggfunc={"age": ["mean", "median"], "pay": "sum"}),
    "pivot keeps missing keys": _pivot(values="pay", index="region", columns="sex", aggfunc="sum", dropna=False),
    "pivot keeps missing keys, margins": _pivot(values="pay", index="region", columns="sex", aggfunc="sum", dropna=False, margins=True),
    "pivot fills": _pivot(values="pay", index=["stage", "sex"], columns="region", aggfunc="sum", fill_value=-1),
    "pivot columns only": _pivot(values="pay", columns=["stage"], aggfunc="sum"),
    "pivot people": _pivot(values="id", index="sex", columns="stage", aggfunc="nunique", margins=True),
    "pivot unsorted": _pivot(values="pay", index="sex", columns="stage", sort=False, observed=True),
    "pivot quantile": _pivot(values="age", index="sex", aggfunc=["quantile", "count"]),
    "cross": _cross("sex", "region"),
    "cross margins, names": _cross("sex", ["region", "stage"], rownames=["who"], colnames=["where", "how"], margins=True),
    "cross margins, missing kept": _cross("sex", "region", margins=True, dropna=False, margins_name="Everybody"),
    "cross values": _cross("sex", "stage", "age", aggfunc="mean", margins=True),
    "cross several": _cross("sex", "stage", "age", aggfunc=["mean", "sum"], margins=True),
    **{
        f"cross share {share} {margins} {values}": _cross(
            ["sex"], "region", values, normalize=share, margins=margins, **({"aggfunc": "sum"} if values else {})
        )
        for share in (True, "all", "index", "columns", 0, 1)
        for margins in (False, True)
        for values in (None, "pay")
    },
    "group named": _group("sex", lambda g: g.agg(total=("pay", "sum"), spread=("age", "std"), people=("id", "nunique"))),
    "group named by pandas": _group("sex", lambda g: g.agg(
        most=pd.NamedAgg("pay", "max"), middle=pd.NamedAgg("age", "quantile"),
    )),
    "group dictionary": _group(["sex", "region"], lambda g: g.agg({"age": "median", "pay": "min"})),
    "group dictionary of lists": _group("region", lambda g: g.agg({"age": ["mean", "var"], "pay": "sum"})),
    "group chosen list": _group("region", lambda g: g[["age", "pay"]].agg(["mean", "count"])),
    "group chosen, several": _group("region", lambda g: g["age"].agg(["mean", "size"])),
    "group chosen, named": _group("region", lambda g: g["age"].agg(low="min", high="max")),
    "group chosen, one": _group("region", lambda g: g["age"].agg("sum")),
    "group quantile": _group("region", lambda g: g["age"].quantile(0.9)),
    "group missing kept": _group("region", lambda g: g["pay"].sum(), dropna=False),
    "group as columns": _group(["region", "sex"], lambda g: g["pay"].mean(), as_index=False),
    "group unsorted": _group(["region", "sex"], lambda g: g["pay"].var(), sort=False, observed=True),
    "group size": _group(["sex", "stage"], lambda g: g.size()),
    **{f"group {name}": _group("sex", lambda g, name=name: getattr(g["age"], name)()) for name in (
        "count", "sum", "mean", "median", "min", "max", "std", "var",
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_a_call_gives_what_pandas_gives_and_the_gate_reads_its_sql(client: ModuleType, name: str) -> None:
    ours, theirs = ALIKE[name]
    made = ours(client)
    derivation = parse(made.sql, CATALOGUE)
    assert len(derivation.aggregates) == len(made._query.measures)
    released = client.sql(made.release_sql).df()
    marked = client.sql(made._query.text(marked=True)).df()[list(released.columns)]
    assert _rows(released) == _rows(marked)  # what is laid out below is what is asked for
    shown, expected = made.df(), theirs()
    expected = (
        expected.to_frame("size" if expected.name is None else expected.name)
        if isinstance(expected, pd.Series)
        else expected
    )
    assert list(shown.index.names) == list(expected.index.names)
    assert list(shown.columns.names) == list(expected.columns.names)
    assert _cells(shown) == _cells(expected)
    if "unsorted" not in name:
        assert list(shown.index.map(str)) == list(expected.index.map(str))


def _rows(frame: Any) -> list[str]:
    return sorted(
        str([None if pd.isna(v) else v if isinstance(v, str) else round(float(v), 9) for v in row])
        for row in frame.to_numpy()
    )


def _cells(frame: Any) -> dict[tuple[str, ...], Any]:
    """Every cell by its headings, a missing figure as None."""
    return {
        (_word(row), _word(column)): _figure(frame.iloc[i, j])
        for i, row in enumerate(frame.index)
        for j, column in enumerate(frame.columns)
    }


def _word(heading: Any) -> str:
    parts = heading if isinstance(heading, tuple) else (heading,)
    return "/".join("-" if pd.isna(p) else str(int(p)) if isinstance(p, float) else str(p) for p in parts)


def _figure(value: Any) -> Any:
    return value if isinstance(value, str) else None if pd.isna(value) else pytest.approx(float(value))


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "observed": (lambda g: g.groupby("people", "sex", observed=False), "observed=False"),
    "level": (lambda g: g.groupby("people", level=0), "level=0"),
    "group_keys": (lambda g: g.groupby("people", "sex", group_keys=False), "group_keys=False"),
    "no key": (lambda g: g.groupby("people"), "Grouped by what"),
    "dropna": (lambda g: g.groupby("people", "sex", dropna=None), "dropna=None"),
    "apply": (lambda g: g.groupby("people", "sex").apply(len), "apply is not offered"),
    "ddof": (lambda g: g.groupby("people", "sex")["age"].std(ddof=0), "ddof=0"),
    "min_count": (lambda g: g.groupby("people", "sex")["age"].sum(min_count=1), "min_count=1"),
    "interpolation": (lambda g: g.groupby("people", "sex")["age"].quantile(0.5, interpolation="lower"), "interpolation='lower'"),
    "quantile 0": (lambda g: g.groupby("people", "sex")["age"].quantile(0), "quantile 0"),
    "quantile list": (lambda g: g.groupby("people", "sex")["age"].quantile([0.1, 0.9]), r"quantile \[0.1"),
    "quantile of nothing": (lambda g: g.groupby("people", "sex").quantile(0.5), "of what"),
    "NamedAgg": (lambda g: g.groupby("people", "sex").agg(a=pd.NamedAgg("age", "std", ddof=0)), "ddof=0"),
    "three of a kind": (lambda g: g.groupby("people", "sex").agg(a=("age", "std", "x")), "a cannot be made"),
    "nothing": (lambda g: g.groupby("people", "sex").agg(), "given nothing"),
    "no function": (lambda g: g.groupby("people", "sex").agg({"age": []}), "No function"),
    "both": (lambda g: g.groupby("people", "sex").agg({"age": "sum"}, n="count"), "both a function"),
    "unchosen": (lambda g: g.groupby("people", "sex").agg("mean"), "of what"),
    "chosen twice": (lambda g: g.groupby("people", "sex")["age"].agg({"pay": "sum"}), "chosen already"),
    "python function": (lambda g: g.groupby("people", "sex").agg(x=("age", lambda s: s.max())), "is not offered"),
    "same name": (lambda g: g.groupby("people", "sex").agg(sex="count"), "Two columns are called sex"),
    "the gate's name": (lambda g: g.groupby("people", "sex").agg(__n="count"), "__n cannot be a name"),
    "nunique": (lambda g: g.groupby("people", "sex").agg({"region": "nunique"}), "nunique of region"),
    "pivot first": (lambda g: g.pivot_table("people", "age", "sex", aggfunc="first"), "first is not offered"),
    "pivot callable": (lambda g: g.pivot_table("people", "age", "sex", aggfunc=[len]), "len is not offered"),
    "pivot observed": (lambda g: g.pivot_table("people", "age", "sex", observed=False), "observed=False"),
    "pivot more": (lambda g: g.pivot_table("people", "age", "sex", numeric_only=True), "numeric_only=True"),
    "pivot no key": (lambda g: g.pivot_table("people", "age"), "Grouped by what"),
    "pivot no values": (lambda g: g.pivot_table("people", index="sex"), "of what"),
    "pivot other values": (lambda g: g.pivot_table("people", "age", "sex", aggfunc={"pay": "sum"}), "do not fit"),
    "pivot name": (lambda g: g.pivot_table("people", "age", "sex", margins=True, margins_name=3), "margins_name"),
    "cross function": (lambda g: g.crosstab("people", "sex", "stage", aggfunc="sum"), "sum of what"),
    "cross values": (lambda g: g.crosstab("people", "sex", "stage", values="age"), "values cannot"),
    "cross several values": (lambda g: g.crosstab("people", "sex", "stage", ["age", "pay"], aggfunc="sum"), "values cannot"),
    "cross share of means": (lambda g: g.crosstab("people", "sex", "stage", "age", aggfunc="mean", normalize=True), "normalize=True"),
    "cross share of nothing": (lambda g: g.crosstab("people", "sex", "stage", normalize="rows"), "normalize='rows'"),
    "cross names": (lambda g: g.crosstab("people", "sex", "stage", rownames=["a", "b"]), "2 names do not fit"),
    "cross names swapped": (lambda g: g.crosstab("people", "sex", "stage", rownames="stage", colnames="sex"), "Two columns"),
    "cross no side": (lambda g: g.crosstab("people", "sex", []), "by what"),
    "cross more": (lambda g: g.crosstab("people", "sex", "stage", bins=3), "bins=3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_offered_is_refused_by_name_in_three_parts(client: ModuleType, name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises(client.GloveboxError, match=said) as refused:
        call(client)
    assert refused.value.what
    assert refused.value.why
    assert refused.value.do


def test_every_parameter_of_pandas_is_known_or_refused(client: ModuleType) -> None:
    """A parameter that pandas has and we have not must fall to the refusals, and not into the measures."""
    for ours, theirs in ((client.crosstab, pd.crosstab), (client.pivot_table, pd.pivot_table)):
        missing = set(inspect.signature(theirs).parameters) - set(inspect.signature(ours).parameters)
        assert missing <= {"data", "kwargs"}
    missing = set(inspect.signature(pd.DataFrame.groupby).parameters) - set(
        inspect.signature(client.groupby).parameters
    )
    assert missing == {"self", "level", "group_keys"}


def test_the_page_names_every_parameter_and_function(client: ModuleType) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "pandas.md").read_text("utf-8")
    for call in (client.crosstab, client.pivot_table, client.groupby):
        named = set(inspect.signature(call).parameters) - {"table", "others"}
        assert {name for name in named if f"`{name}`" not in page and f"`{name}=" not in page} == set()
    offered = set(importlib.import_module("glovebox.measured").FUNCTIONS) - {"avg"}
    assert {name for name in offered if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", ["crosstab", "pivot_table", "groupby", "figure", "ols", "logit", "poisson"])
def test_each_call_has_an_example_in_its_words(client: ModuleType, name: str) -> None:
    assert f"{name}(" in str(getattr(client, name).__doc__)


def test_shares_say_that_counts_are_what_leaves(client: ModuleType) -> None:
    made = client.crosstab("people", "sex", "stage", normalize="index")
    assert "Shares are shown in here only" in repr(made)
    assert "Shares are shown in here only" in made._repr_html_()
    assert 'count(*) AS "n"' in made.release_sql
    assert len(parse(made.release_sql, CATALOGUE).grouping_sets) == 4
    assert "Shares" not in repr(client.crosstab("people", "sex", "stage"))


def test_a_total_may_not_be_called_as_a_group_is(client: ModuleType) -> None:
    with pytest.raises(client.GloveboxError, match="sex has the value f"):
        client.crosstab("people", "sex", "stage", margins=True, margins_name="f").df()


def test_totals_are_of_the_cells_records_where_pandas_leaves_some_out(client: ModuleType) -> None:
    words = {"values": ["age", "pay"], "index": "sex", "columns": "stage", "aggfunc": "sum", "margins": True}
    ours, theirs = client.pivot_table("people", **words).df()["pay"], pd.pivot_table(PEOPLE, **words)["pay"]
    assert ours.loc["All", "All"] == ours.iloc[:-1, :-1].sum().sum()
    assert theirs.loc["All", "All"] != theirs.iloc[:-1, :-1].sum().sum()


def test_a_named_quantile_is_the_one_that_its_column_has(client: ModuleType) -> None:
    groups = client.groupby("people", "sex")
    made = groups.agg(low=pd.NamedAgg("age", "quantile", 0.1), top=pd.NamedAgg("age", "quantile", q=0.9))
    assert [one.parameter for one in parse(made.sql, CATALOGUE).aggregates] == [0.1, 0.9]
    theirs = PEOPLE.groupby("sex")["age"]
    assert list(made.df()["low"]) == pytest.approx(list(theirs.quantile(0.1)))
    assert list(made.df()["top"]) == pytest.approx(list(theirs.quantile(0.9)))


def test_counts_are_whole_and_a_key_may_be_called_n(client: ModuleType) -> None:
    made = client.crosstab("people", "sex", "region", colnames="n")
    assert set(made.df().dtypes.map(str)) == {"int64"}
    assert 'count(*) AS "rows"' in made.sql
    assert list(client.groupby("people", "sex").size().df()["size"]) == [20, 40]


def test_rows_are_kept_by_sql_with_a_comment(client: ModuleType) -> None:
    made = client.groupby("people", "sex", where="stage < 2 -- the early ones").agg(n="count")
    assert made.df()["n"].sum() == 30
    parse(made.sql, CATALOGUE)


@pytest.mark.parametrize("name", ['x" FROM secrets --', "x'; DROP TABLE people; --", '"', "a/*b", "All"])
def test_hostile_names_stay_names(client: ModuleType, name: str) -> None:
    made = client.crosstab("people", "sex", "stage", rownames=name, margins=True)
    derivation = parse(made.sql, CATALOGUE)
    assert [key.name for key in derivation.keys] == [name, "stage"]
    assert [table.name for table in derivation.tables] == ["people"]
    assert made.df().index.name == name
    with pytest.raises(client.GloveboxError, match="did not run"):
        client.groupby("people", name).size().df()
