"""The nearest thing that is allowed, for what analysts write most and the gate cannot judge. Every suggestion is itself allowed."""

from __future__ import annotations

import difflib

from sqlglot import exp

# What to write, and instead of what, by the names that people write. {x} is the column they asked it of.
_FOR = {
    "substring({x}, 1, 3)": "regexp_extract regexp_replace split_part split string_split replace lpad rpad strip_accents",
    "{x} LIKE 'A%'": "regexp_matches regexp_like regexp_full_match similarto glob",
    "SELECT {x}, count(*) AS n FROM … GROUP BY {x}": "mode histogram approx_top_k list array_agg string_agg first last any_value "
    "arbitrary arg_max arg_min max_by min_by approx_count_distinct approx_distinct",
    "floor({x} / 10) * 10": "width_bucket ntile sqrt ln log log10 log2 exp pow power sign cut qcut",
    "count(*) FILTER (WHERE {x})": "count_if countif bool_or bool_and logical_or logical_and",
    "stddev({x})": "entropy skewness kurtosis kurtosis_pop mad product geomean sem stddev_pop",
    "variance({x})": "var_pop variance_pop",
    "quantile_cont({x}, 0.5)": "quantile_disc percentile_disc approx_quantile approx_percentile withingroup",
    "corr({x}, y)": "covar_samp covar_pop regr_slope regr_r2 regr_intercept",
    "date_trunc('month', {x})": "strftime datetrunc time_bucket epoch make_date",
    "date_diff('year', {x}, DATE '2024-01-01')": "age date_sub datesub",
    "DATE '2024-01-01'": "now current_date current_timestamp today get_current_timestamp",
    "INTERVAL 3 DAY": "to_days to_months to_years",
    "{x} + INTERVAL 3 DAY": "date_add",
}
INSTEAD = {name: shown for shown, names in _FOR.items() for name in names.split()}
_WRITTEN = {"listagg": "string_agg"}  # what the parser's name for it was written as
KNOWN = (
    *("count", "sum", "avg", "min", "max", "stddev", "variance", "median", "quantile_cont", "corr", "round", "floor", "ceil"),
    *("abs", "coalesce", "nullif", "least", "greatest", "lower", "upper", "trim", "length", "substring", "left", "right", "concat"),
    *("starts_with", "contains", "year", "quarter", "month", "week", "day", "hour", "minute", "dayofweek", "isodow", "dayofyear"),
    *("date_part", "date_trunc", "date_diff", "extract"),
)  # fmt: skip
_EVERYTHING = (
    "Allowed: count, count(DISTINCT …), sum, avg, min, max, stddev, median, quantile_cont, corr; CASE, CAST, round, floor, coalesce, "
    "date parts, date_diff, text case and substring."
)


def nearest(node: exp.Expr) -> str:
    """What to write instead of ``node``: its own entry, the name it may be a misspelling of, or everything that there is."""
    name = name_of(node)
    if name in INSTEAD:
        return f"Write {INSTEAD[name].format(x=_column(node))}."
    close = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.75)
    return f"Did you mean {close[0]}? {_EVERYTHING}" if close and close[0] != name else _EVERYTHING


def name_of(node: exp.Expr) -> str:
    """The function's or construct's name as people write it, lower case."""
    if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
        return name_of(node.this)
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    if not isinstance(node, exp.Func):
        return str(node.key)
    written = str(node.sql(dialect="duckdb")).partition("(")[0].lower()
    return _WRITTEN.get(written, written) if written.isidentifier() else str(node.sql_name()).lower()


def _column(node: exp.Expr) -> str:
    found = next(node.find_all(exp.Column), None)
    return found.sql(dialect="duckdb") if found is not None and not isinstance(found.this, exp.Star) else "x"
