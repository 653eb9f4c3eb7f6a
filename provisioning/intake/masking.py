"""A masking recipe as SQL, and how identifiable people are before and after. Deterministic for a given key.

Pseudonyms and shifts are keyed digests of the value (`domain.masking_key`), written with DuckDB's own ``sha256``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import duckdb
import pyarrow as pa

from provisioning.domain.dataset import Column
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.masking import (
    REFUSE,
    WHOLE,
    Bins,
    Clip,
    Drop,
    Hierarchy,
    Noise,
    Prefix,
    Pseudonym,
    Redact,
    Round,
    Rule,
    ShiftDates,
    TableRecipe,
    Truncate,
)
from provisioning.domain.masking_key import Construction, MaskingKey
from provisioning.intake.engine import literal, quoted

PSEUDONYM_HEX = 24
REDACTED = "[redacted]"
_NO_CODE = "glovebox: no such code\t"
_BLOCK = 64
_INSIDE_TEXT = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
    r"[1-9][0-9]{16}[0-9Xx]",
    r"[1-9][0-9]{12,18}",
    r"(\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}",
    r"0[0-9]{2,3}-[0-9]{7,8}",
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·. ]?[A-Z0-9]{5,6}",
)


@dataclass(frozen=True)
class Anonymity:
    """Over groups of people with equal quasi-identifiers: the smallest group, and what it shares.

    ``k``: people in the smallest group; ``alone``: people who are alone in theirs; ``diversity``: the fewest different
    sensitive values in a group, None when none was named.
    """

    people: int
    groups: int
    k: int
    alone: int
    diversity: int | None

    def facts(self) -> dict[str, int | None]:
        return dict(vars(self))


def masked_select(
    relation: str, columns: Sequence[Column], unit: str | None, recipe: TableRecipe, key: MaskingKey
) -> str:
    """The masked rows of ``relation`` (SQL) as one SELECT. Tables of codes must have been put beside it (`bring_codes`)."""
    parts, joined = [], ""
    for number, column in enumerate(columns):
        rule = recipe.columns.get(column.name)
        if isinstance(rule, Drop):
            continue
        if isinstance(rule, Hierarchy):
            codes = f"codes_{number}"
            joined += f" LEFT JOIN {_held(rule)} AS {codes} ON {codes}.{_held(rule)} = {_looked_up(rule, column)}"
            expression = _above(rule, column, codes)
        else:
            expression = quoted(column.name) if rule is None else _masked(rule, column, unit, key)
        parts.append(f"{expression} AS {quoted(column.name)}")
    return (
        f"SELECT {', '.join(parts)} FROM {relation} AS given{joined}"
        if joined
        else f"SELECT {', '.join(parts)} FROM {relation}"
    )


def bring_codes(engine: duckdb.DuckDBPyConnection, recipe: TableRecipe) -> None:
    """Put the recipe's tables of codes into the engine, where `masked_select` joins them. It may be called again."""
    for rule in recipe.columns.values():
        if isinstance(rule, Hierarchy) and rule.codes is not None:
            above = rule.codes.above(rule.to)
            name = _held(rule)
            engine.register("arriving_codes", pa.table({"code": list(above), "up": list(above.values())}))
            engine.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT code AS {name}, up AS {_up(rule)} FROM arriving_codes"
            )
            engine.unregister("arriving_codes")


def missing_code(table: str, broken: duckdb.Error) -> RegistrationRefused | None:
    """The refusal that stands behind an engine's error, when a code was in no table of codes; its value stays private."""
    text = str(broken)
    if _NO_CODE not in text:
        return None
    column, file, value = [*text.split(_NO_CODE, 1)[1].split("\t", 2), "", ""][:3]
    return RegistrationRefused(
        f"Table {table} was not masked: column {column} holds a code that {file} does not have.",
        why='Its rule says "missing": "refuse", so that no code stays as it is and none is lost unseen.',
        do='Complete the table of codes, or name the word that stands for all others: "missing": "other".',
        private=value,
    )


def anonymity(
    engine: duckdb.DuckDBPyConnection, relation: str, unit: str | None, quasi: Sequence[str], sensitive: str | None
) -> Anonymity | None:
    """None when no quasi-identifier is named. Without a unit, each row is a person."""
    if not quasi:
        return None
    keys = ", ".join(quoted(column) for column in quasi)
    people = f"count(DISTINCT {quoted(unit)})" if unit else "count(*)"
    values = f"count(DISTINCT {quoted(sensitive)})" if sensitive else "NULL"
    grouped = f"SELECT {people} AS people, {values} AS kinds FROM {relation} GROUP BY {keys}"
    total = f"(SELECT {people} FROM {relation})"
    row = engine.execute(
        f"SELECT {total}, count(*), coalesce(min(people), 0), count(*) FILTER (WHERE people = 1), min(kinds) FROM ({grouped})"
    ).fetchall()[0]
    return Anonymity(int(row[0]), int(row[1]), int(row[2]), int(row[3]), None if row[4] is None else int(row[4]))


def _masked(rule: Rule, column: Column, unit: str | None, key: MaskingKey) -> str:
    name = quoted(column.name)
    if isinstance(rule, Pseudonym):
        return _pseudonym(column, key)
    if isinstance(rule, ShiftDates):
        return _shifted(rule, column, unit or "", key.secret)
    if isinstance(rule, Bins):
        return _binned(rule, name)
    if isinstance(rule, Truncate):
        return f"CAST(date_trunc({literal(rule.to)}, {name}) AS {column.type})"
    if isinstance(rule, Prefix):
        return _prefix(rule, name)
    if isinstance(rule, Clip):
        return _clipped(rule, column)
    if isinstance(rule, Round):
        return f"CAST(round(CAST({name} AS DOUBLE) / {rule.base!r}) * {rule.base!r} AS {column.type})"
    if isinstance(rule, Noise):
        return _noisy(rule, column, unit, key.secret)
    if isinstance(rule, Redact):
        for pattern in _INSIDE_TEXT:
            name = f"regexp_replace({name}, {literal(pattern)}, {literal(REDACTED)}, 'g')"
        return name
    raise TypeError(f"no SQL for {rule}")


def _pseudonym(column: Column, key: MaskingKey) -> str:
    """No value has no pseudonym: a digest of nothing is nothing in SQL."""
    name = quoted(column.name)
    text = f"CAST({name} AS VARCHAR)" if column.type in WHOLE else _text(name)
    if key.construction is Construction.HMAC:
        digest = _hmac(key.secret, "pseudonym", text)
    else:
        digest = f"sha256({_blob(key.for_pseudonyms)} || encode({text}))"
    return f"left({digest}, {PSEUDONYM_HEX})"


def _held(rule: Hierarchy) -> str:
    """The table of codes in the engine, and its first column: no column of data has this name."""
    return quoted(f"codes {rule.sha256[:32]} {rule.to}")


def _up(rule: Hierarchy) -> str:
    return quoted(f"above {rule.sha256[:32]} {rule.to}")


def _looked_up(rule: Hierarchy, column: Column) -> str:
    text = f"trim(CAST(given.{quoted(column.name)} AS VARCHAR))"
    return text if rule.length is None else f"left({text}, {rule.length})"


def _above(rule: Hierarchy, column: Column, codes: str) -> str:
    """No value stays no value; so does a blank one."""
    name, found = f"given.{quoted(column.name)}", f"{codes}.{_up(rule)}"
    said = f"{_NO_CODE}{column.name}\t{rule.file}\t"
    other = literal(rule.missing)
    if rule.missing == REFUSE:
        other = f"error({literal(said)} || CAST({name} AS VARCHAR))"
    blank = f"coalesce(trim(CAST({name} AS VARCHAR)), '') = ''"
    return f"CASE WHEN {blank} THEN NULL WHEN {found} IS NOT NULL THEN {found} ELSE {other} END"


def _prefix(rule: Prefix, name: str) -> str:
    text = f"CAST({name} AS VARCHAR)"
    if rule.fill is None:
        return f"left({text}, {rule.length})"
    return f"rpad(left({text}, {rule.length}), length({text})::INTEGER, {literal(rule.fill)})"


def _shifted(rule: ShiftDates, column: Column, unit: str, key: bytes) -> str:
    """The same shift for all dates of one person in all tables of the project; a person without name has no dates."""
    person = quoted(unit)
    drawn = f"CAST('0x' || substr({_hmac(key, 'shift', _text(person))}, 1, 12) AS BIGINT)"
    days = f"CAST({drawn} % {2 * rule.days + 1} - {rule.days} AS INTEGER)"
    return f"CAST({quoted(column.name)} + to_days({days}) AS {column.type})"


def _noisy(rule: Noise, column: Column, unit: str | None, key: bytes) -> str:
    """Box and Muller's normal draw from 96 bits of the keyed digest of person, column and value."""
    name = quoted(column.name)
    person = f"coalesce({_text(quoted(unit))}, '')" if unit else "''"
    digest = _hmac(key, f"noise:{column.name}", f"{person} || ':' || CAST({name} AS VARCHAR)")
    first, second = (f"((CAST('0x' || substr({digest}, {at}, 12) AS BIGINT) + 1) / {2**48 + 1}.0)" for at in (1, 13))
    drawn = f"sqrt(-2 * ln({first})) * cos(2 * pi() * {second})"
    return f"CAST(CAST({name} AS DOUBLE) + {rule.sd!r} * {drawn} AS {column.type})"


def _binned(rule: Bins, name: str) -> str:
    edges = rule.edges
    cases = [f"WHEN {name} IS NULL THEN NULL", f"WHEN {name} < {edges[0]!r} THEN {literal(f'under {edges[0]:g}')}"]
    cases += [
        f"WHEN {name} < {upper!r} THEN {literal(f'{lower:g} to under {upper:g}')}" for lower, upper in pairwise(edges)
    ]
    return f"CASE {' '.join(cases)} ELSE {literal(f'{edges[-1]:g} and over')} END"


def _clipped(rule: Clip, column: Column) -> str:
    """NULL stays NULL: ``least`` and ``greatest`` would pass over it."""
    name = quoted(column.name)
    inner = name
    if rule.low is not None:
        inner = f"greatest({inner}, {rule.low!r})"
    if rule.high is not None:
        inner = f"least({inner}, {rule.high!r})"
    return f"CASE WHEN {name} IS NULL THEN NULL ELSE CAST({inner} AS {column.type}) END"


def _text(name: str) -> str:
    """The same person is the same text whether a table holds the number as 7 or as 7.0."""
    text = f"CAST({name} AS VARCHAR)"
    return rf"CASE WHEN ends_with({text}, '.0') THEN regexp_replace({text}, '^([0-9]+)\.0$', '\1') ELSE {text} END"


def _hmac(key: bytes, domain: str, text: str) -> str:
    """HMAC-SHA-256 (RFC 2104) of ``domain:text`` in lower-case hex, as SQL."""
    padded = key.ljust(_BLOCK, b"\0")
    if len(padded) != _BLOCK:
        raise ValueError("the key is longer than a block")
    inner, outer = (_blob(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    message = f"encode({literal(domain + ':')} || {text})"
    return f"sha256({outer} || unhex(sha256({inner} || {message})))"


def _blob(data: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in data) + "'::BLOB"
