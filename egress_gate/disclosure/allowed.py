"""The allow-list of expressions. Everything that is not named here is refused, whatever the database could do with it."""

from __future__ import annotations

from sqlglot import exp

MAX_SQL = 20_000
MAX_NODES = 3_000
MAX_DEPTH = 60
MAX_SOURCES = 6

ROW_EXPRESSIONS: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Neg,
    exp.Not,
    exp.And,
    exp.Or,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Like,
    exp.ILike,
    exp.Case,
    exp.If,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.IntDiv,
    exp.Coalesce,
    exp.Nullif,
    exp.Abs,
    exp.Floor,
    exp.Ceil,
    exp.Round,
    exp.Least,
    exp.Greatest,
    exp.Lower,
    exp.Upper,
    exp.Trim,
    exp.Length,
    exp.Substring,
    exp.Left,
    exp.Right,
    exp.Cast,
    exp.TryCast,
    exp.DataType,
    exp.DataTypeParam,
    exp.DPipe,
    exp.Concat,
    exp.StartsWith,
    exp.Contains,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Extract,
    exp.Var,
    exp.Year,
    exp.Month,
    exp.Day,
    exp.Quarter,
    exp.Week,
    exp.WeekOfYear,
    exp.Hour,
    exp.Minute,
    exp.Second,
    exp.DayOfWeek,
    exp.DayOfWeekIso,
    exp.DayOfYear,
    exp.DateDiff,
    exp.Interval,
    exp.TimestampTrunc,
    exp.DateTrunc,
    exp.Alias,
)
CAST_TYPES = frozenset(
    exp.DataType.Type[name]
    for name in (
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "VARCHAR",
        "TEXT",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMPNTZ",
    )
)
# What date_diff counts and intervals add: nothing finer than a second, so that no difference overflows.
PERIODS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})
LONGEST_INTERVAL = 1_000_000  # of a period: far beyond every date of people, and too short to overflow one
AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Count: "count",
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Min: "min",
    exp.Max: "max",
    exp.Stddev: "stddev",
    exp.StddevSamp: "stddev",
    exp.Variance: "variance",
    exp.Median: "median",
    exp.PercentileCont: "quantile",
    exp.Quantile: "quantile",
    exp.Corr: "corr",
}
NEAREST = {
    "window function": "Group instead: SELECT key, count(*) FROM table GROUP BY key.",
    "subquery": "Write it as WITH name AS (SELECT columns FROM table WHERE …), without aggregates, and aggregate once at the end.",
    "star": "Write * or table.* alone, or name the columns you need.",
    "LIMIT": "Leave LIMIT out: the table is as long as it has groups.",
    "HAVING": "Compare columns of the SELECT with constants: =, <>, <, <=, >, >=, BETWEEN, IN, IS NULL, with AND, OR and NOT.",
}
