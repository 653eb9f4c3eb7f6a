"""What is shown instead of a construct that is refused: it names the construct, and what it shows is itself allowed."""

from __future__ import annotations

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.errors import DerivationRefused

COLUMNS = {
    "id": "BIGINT",
    "sex": "VARCHAR",
    "town": "VARCHAR",
    "age": "BIGINT",
    "y": "DOUBLE",
    "ill": "BOOLEAN",
    "born": "DATE",
    "seen": "TIMESTAMP",
}
PEOPLE = TableSchema("d", "people", COLUMNS, "id")
CATALOGUE = {PEOPLE.key: PEOPLE}

KEYS = [
    ("regexp_extract(town, '[0-9]+')", "regexp_extract", "substring(town, 1, 3)"),
    ("split_part(town, ' ', 1)", "split_part", "substring(town, 1, 3)"),
    ("replace(town, 'a', 'b')", "replace", "substring(town, 1, 3)"),
    ("lpad(town, 3, '0')", "lpad", "substring(town, 1, 3)"),
    ("regexp_matches(town, 'x')", "regexp_matches", "town LIKE 'A%'"),
    ("town SIMILAR TO 'x'", "similarto", "town LIKE 'A%'"),
    ("width_bucket(age, 0, 100, 5)", "width_bucket", "floor(age / 10) * 10"),
    ("sqrt(age)", "sqrt", "floor(age / 10) * 10"),
    ("ln(age)", "ln", "floor(age / 10) * 10"),
    ("pow(age, 2)", "power", "floor(age / 10) * 10"),
    ("sign(age)", "sign", "floor(age / 10) * 10"),
    ("strftime(born, '%Y')", "strftime", "date_trunc('month', born)"),
    ("time_bucket(INTERVAL 1 DAY, born)", "time_bucket", "date_trunc('month', born)"),
    ("epoch(seen)", "epoch", "date_trunc('month', seen)"),
    ("age(born, seen)", "age", "date_diff('year', born, DATE '2024-01-01')"),
    ("date_sub('year', born, seen)", "date_sub", "date_diff('year', born, DATE '2024-01-01')"),
    ("born > current_date", "current_date", "DATE '2024-01-01'"),
    ("born + to_days(3)", "to_days", "INTERVAL 3 DAY"),
    ("lowr(town)", "lowr", "lower"),
    ("sustring(town, 1, 2)", "sustring", "substring"),
]
VALUES = [
    ("mode(town)", "mode", "SELECT town, count(*) AS n FROM … GROUP BY town"),
    ("list(town)", "array_agg", "GROUP BY town"),
    ("string_agg(town, ',')", "string_agg", "GROUP BY town"),
    ("any_value(town)", "any_value", "GROUP BY town"),
    ("first(town)", "first", "GROUP BY town"),
    ("histogram(age)", "histogram", "GROUP BY age"),
    ("arg_max(town, age)", "arg_max", "GROUP BY town"),
    ("approx_count_distinct(town)", "approx", "GROUP BY town"),
    ("count_if(ill)", "count_if", "count(*) FILTER (WHERE ill)"),
    ("bool_or(ill)", "bool_or", "count(*) FILTER (WHERE ill)"),
    ("skewness(y)", "skewness", "stddev(y)"),
    ("entropy(y)", "entropy", "stddev(y)"),
    ("product(y)", "product", "stddev(y)"),
    ("stddev_pop(y)", "stddev_pop", "stddev(y)"),
    ("var_pop(y)", "var_pop", "variance(y)"),
    ("quantile_disc(y, 0.5)", "quantile_disc", "quantile_cont(y, 0.5)"),
    ("approx_quantile(y, 0.5)", "approx_quantile", "quantile_cont(y, 0.5)"),
    ("covar_samp(age, y)", "covar_samp", "corr(age, y)"),
    ("regr_slope(age, y)", "regr_slope", "corr(age, y)"),
    ("medain(y)", "medain", "median"),
]


def refusal(sql: str) -> DerivationRefused:
    with pytest.raises(DerivationRefused) as told:
        parse(sql, CATALOGUE)
    return told.value


@pytest.mark.parametrize(("written", "named", "instead"), KEYS, ids=[k[1] for k in KEYS])
def test_a_key_that_is_refused_shows_the_nearest(written: str, named: str, instead: str) -> None:
    told = refusal(f"SELECT {written} AS k, count(*) AS n FROM people GROUP BY {written}")
    assert named in told.what.casefold()
    assert instead in told.do


@pytest.mark.parametrize(("written", "named", "instead"), VALUES, ids=[k[1] for k in VALUES])
def test_a_value_that_is_refused_shows_the_nearest(written: str, named: str, instead: str) -> None:
    told = refusal(f"SELECT sex, {written} AS v FROM people GROUP BY sex")
    assert named in told.what.casefold()
    assert instead in told.do


@pytest.mark.parametrize("told", [refused for refused, _, _ in KEYS[:17]])
def test_what_is_shown_for_a_key_is_allowed(told: str) -> None:
    shown = (
        refusal(f"SELECT {told} AS k, count(*) AS n FROM people GROUP BY {told}")
        .do.removeprefix("Write ")
        .removesuffix(".")
    )
    parse(f"SELECT {shown} AS k, count(*) AS n FROM people GROUP BY {shown}", CATALOGUE)


@pytest.mark.parametrize("told", [refused for refused, _, _ in VALUES[:19]])
def test_what_is_shown_for_a_value_is_allowed(told: str) -> None:
    shown = refusal(f"SELECT sex, {told} AS v FROM people GROUP BY sex").do.removeprefix("Write ").removesuffix(".")
    whole = (
        shown.replace("…", "people")
        if shown.startswith("SELECT")
        else f"SELECT sex, {shown} AS v FROM people GROUP BY sex"
    )
    parse(whole, CATALOGUE)
