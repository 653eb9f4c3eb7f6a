"""A masking recipe as a form, and back: the JSON that `./glovebox dataset mask` takes. What a rule may be, provisioning says.

For table `n` of the form: `do.n.COLUMN` is the rule, `with.n.COLUMN` what it works with, `quasi.n` and `sensitive.n` what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from egress_gate.desk.kept_form import Sent
from egress_gate.service.errors import Malformed

Body = Mapping[str, Any]


def recipe_of(sent: Sent, tables: Sequence[str]) -> dict[str, Any]:
    """By table; a table without rules is left out. Raises Malformed for what is no number where one is needed."""
    made = {}
    for n, table in enumerate(tables):
        rules = dict(_rules(sent, n))
        quasi, sensitive = list(sent.fields.get(f"quasi.{n}", ())), sent.text(f"sensitive.{n}")
        if rules or quasi:
            made[table] = {"columns": rules, "quasi": quasi, **({"sensitive": sensitive} if sensitive else {})}
    return made


def fields_of(recipe: Mapping[str, Any], tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The form's fields for a recipe that was used before."""
    found: dict[str, tuple[str, ...]] = {}
    for n, table in enumerate(tables):
        part = recipe.get(table, {})
        for column, body in part.get("columns", {}).items():
            found[f"do.{n}.{column}"] = (str(body["do"]),)
            show = _SHOWN.get(body["do"])
            found[f"with.{n}.{column}"] = (show(body) if show else "",)
        found[f"quasi.{n}"] = tuple(part.get("quasi", ()))
        found[f"sensitive.{n}"] = (part.get("sensitive") or "",)
    return found


def _rules(sent: Sent, n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    prefix = f"do.{n}."
    for name in sent.fields:
        column, word = name.removeprefix(prefix), sent.text(name)
        if name.startswith(prefix) and word:
            yield column, {"do": word, **_with(column, word, sent.text(f"with.{n}.{column}"))}


def _with(column: str, word: str, text: str) -> Body:
    read = _READ.get(word)
    try:
        return read(text) if read else {}
    except ValueError as odd:
        raise Malformed(
            "The masking was not understood.",
            why=f"{text[:40]!a} is not what the rule for {column[:60]!a} works with.",
            do="Write it as the hint above the columns shows.",
        ) from odd


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _prefix(text: str) -> Body:
    length, fill = [*_parts(text), ""][:2]
    return {"length": int(length), **({"fill": fill} if fill else {})}


def _hierarchy(text: str) -> Body:
    file, to, missing, length = [*_parts(text), "", "", "", ""][:4]
    return {"file": file, "to": to, "missing": missing or "refuse", **({"length": int(length)} if length else {})}


def _clip(text: str) -> Body:
    low, dots, high = (part.strip() for part in text.partition(".."))
    if not dots:
        raise ValueError("no range")
    return {name: _number(part) for name, part in (("low", low), ("high", high)) if part}


_READ: Mapping[str, Callable[[str], Body]] = {
    "bins": lambda text: {"edges": [_number(part) for part in _parts(text)]},
    "truncate": lambda text: {"to": text},
    "prefix": _prefix,
    "hierarchy": _hierarchy,
    "clip": _clip,
    "shift": lambda text: {"days": int(text)},
    "round": lambda text: {"base": _number(text)},
    "noise": lambda text: {"sd": _number(text)},
}
_SHOWN: Mapping[str, Callable[[Body], str]] = {
    "bins": lambda body: ", ".join(str(edge) for edge in body["edges"]),
    "truncate": lambda body: str(body["to"]),
    "prefix": lambda body: ", ".join(str(body[part]) for part in ("length", "fill") if body.get(part) is not None),
    "hierarchy": lambda body: ", ".join(
        str(body[part]) for part in ("file", "to", "missing", "length") if body.get(part) is not None
    ),
    "clip": lambda body: (
        f"{'' if body.get('low') is None else body['low']}..{'' if body.get('high') is None else body['high']}"
    ),
    "shift": lambda body: str(body["days"]),
    "round": lambda body: str(body["base"]),
    "noise": lambda body: str(body["sd"]),
}
