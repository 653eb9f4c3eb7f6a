"""One output in a request, as the analyst asked for it. Bounds are mechanical and checked before anything is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from installation.fault import Fault

MAX_ITEMS = 50
MAX_SQL = 20_000
MAX_NAME = 80
MAX_TITLE = 200
MAX_TEXT = 8_000
MAX_FORMULA = 1_000

_NAME = re.compile(r"[\w](?:[\w .()+-]*[\w)])?", re.UNICODE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    TABLE = "table"
    FILE = "file"
    FIGURE = "figure"
    REGRESSION = "regression"


# kinds whose bytes the analyst sends; a request may only name bytes that its own sandbox uploaded
UPLOADED = frozenset({Kind.FILE})


# kinds that the gate computes from the registered data, so that a query comes with them
DERIVED = frozenset({Kind.TABLE, Kind.FIGURE, Kind.REGRESSION})
# kinds that are a table, or drawn from one
TABULAR = frozenset({Kind.TABLE, Kind.FIGURE})
FAMILIES = ("ols", "logit", "poisson")


class ItemRefused(Fault):
    """A mechanical mistake in what was asked for; nothing was stored."""

    code = "item-refused"


@dataclass(frozen=True)
class Item:
    """`sql` for a derived output, `blob` for a file or for the figures the analyst expects of a table.

    `declared` holds what a kind needs besides: a regression's ``formula`` and ``family``, a figure's ``spec``.
    """

    name: str
    kind: Kind
    sql: str | None = None
    blob: str | None = None
    declared: dict[str, Any] = field(default_factory=dict)


def checked_item(item: Item) -> Item:
    """`item` itself, or ItemRefused saying what to change. The name can become a file's name, so it must be plain."""
    if not _NAME.fullmatch(item.name) or len(item.name) > MAX_NAME or ".." in item.name:
        raise ItemRefused(
            "An output has a name that cannot be used.",
            why="The released file is named after it, so slashes, two dots and control characters are refused.",
            do=f"Use letters, digits, spaces, '.', '-' and '_', at most {MAX_NAME} characters.",
        )
    if item.kind in DERIVED:
        _require_sql(item)
    if item.kind not in TABULAR and "protection" in item.declared:
        raise ItemRefused(
            f"The {item.kind.value} {item.name} cannot be rounded or given noise.",
            why="That is done to tables and to figures over tables.",
            do="Leave the protection out.",
        )
    if item.kind is Kind.REGRESSION:
        _require_formula(item)
    if item.kind is Kind.FIGURE:
        _require_spec(item)
    if item.kind in UPLOADED:
        _require_upload(item)
    return item


def _require_upload(item: Item) -> None:
    if item.blob is None or not _DIGEST.fullmatch(item.blob):
        raise ItemRefused(
            f"The file {item.name} was not uploaded.",
            why="A file in a request is named by the SHA-256 digest that the upload returned.",
            do="Upload the file first, then submit with its digest.",
        )


def _require_formula(item: Item) -> None:
    formula, family = item.declared.get("formula"), item.declared.get("family")
    if not isinstance(formula, str) or not formula.strip() or len(formula) > MAX_FORMULA or family not in FAMILIES:
        raise ItemRefused(
            f"The regression {item.name} has no formula or no family.",
            why=f"The gate fits it anew: a formula of at most {MAX_FORMULA} characters and one of {', '.join(FAMILIES)}.",
            do="Write it as in glovebox.ols('outcome ~ variable', 'SELECT …').",
        )


def _require_spec(item: Item) -> None:
    if not isinstance(item.declared.get("spec"), dict):
        raise ItemRefused(
            f"The figure {item.name} has no specification.",
            why="The gate draws it anew from its own numbers, so it needs the Vega-Lite specification.",
            do="Write it as in glovebox.figure({'mark': 'bar', 'encoding': {…}}, 'SELECT …').",
        )


def _require_sql(item: Item) -> None:
    if item.sql is None or not item.sql.strip():
        raise ItemRefused(
            f"The {item.kind.value} {item.name} has no SQL.",
            why="The gate recomputes it from the registered data, so it needs the query.",
            do="Give the SELECT statement that it is made from.",
        )
    if len(item.sql) > MAX_SQL or "\x00" in item.sql:
        raise ItemRefused(
            f"The SQL of {item.name} is too long or holds a null character.",
            why=f"At most {MAX_SQL} characters are read.",
            do="Simplify the query or split the table in two.",
        )


def checked_texts(title: str, purpose: str, context: str) -> None:
    """Refuse missing or oversized words; a reviewer cannot judge an output without its context."""
    for label, text, limit in (
        ("title", title, MAX_TITLE),
        ("purpose", purpose, MAX_TEXT),
        ("context", context, MAX_TEXT),
    ):
        if len(text) > limit or "\x00" in text:
            raise ItemRefused(
                f"The {label} is too long.",
                why=f"At most {limit} characters are kept.",
                do="Shorten it and submit again.",
            )
        if not text.strip() and label != "context":
            raise ItemRefused(
                f"The request has no {label}.",
                why="A reviewer decides from it, and a request without it only comes back.",
                do=f"Say the {label} in a sentence and submit again.",
            )


def _is_jpeg(item: Item) -> bool:
    return item.name.casefold().endswith((".jpg", ".jpeg"))


def picture_name(name: str) -> str:
    """What a picture of the manual lane leaves as: the gate writes it as PNG."""
    return name if name.casefold().endswith(".png") else f"{name}.png"


def checked_items(items: list[Item]) -> list[Item]:
    """All of them, or ItemRefused; names are unique without regard to case because they become file names."""
    if not items or len(items) > MAX_ITEMS:
        raise ItemRefused(
            "The request has no outputs." if not items else f"The request has {len(items)} outputs.",
            why=f"A request holds between 1 and {MAX_ITEMS} outputs.",
            do="Add an output." if not items else "Split it into several requests.",
        )
    names = [(picture_name(i.name) if i.kind is Kind.FILE and _is_jpeg(i) else i.name).casefold() for i in items]
    if len(set(names)) != len(names):
        raise ItemRefused(
            "Two outputs have the same name.", why="Each becomes a file of that name.", do="Give each its own name."
        )
    return [checked_item(i) for i in items]
