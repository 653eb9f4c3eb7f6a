"""What an author changed between two revisions: words, outputs, and inside each output, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from egress_gate.desk.explain import diff_lines
from egress_gate.domain.item import Item

WORDS = {"title": "Title", "purpose": "Purpose of this output", "context": "Context"}
Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Change:
    """`what` is a field's name, `item` the output it belongs to or nothing; no lines: the whole output came or went, as `how` says."""

    item: str
    what: str
    how: str
    lines: Lines = ()


def changes(
    words_before: Mapping[str, str], words: Mapping[str, str], before: Iterable[Item], now: Iterable[Item]
) -> tuple[Change, ...]:
    """Empty when nothing differs. Words of a revision from before they were kept are not compared."""
    made = [
        Change("", label, "changed", diff_lines(words_before[word], words[word]))
        for word, label in WORDS.items()
        if word in words_before and words_before[word] != words.get(word)
    ]
    old, new = {i.name: i for i in before}, {i.name: i for i in now}
    made += [Change(name, "", "removed") for name in sorted(set(old) - set(new))]
    made += [Change(name, "", "added") for name in sorted(set(new) - set(old))]
    for name in sorted(set(old) & set(new)):
        made += _of_item(old[name], new[name])
    return tuple(made)


def _of_item(old: Item, new: Item) -> list[Change]:
    made = []
    if old.kind is not new.kind:
        made.append(Change(new.name, "Kind", "changed", diff_lines(old.kind.value, new.kind.value)))
    if old.sql != new.sql:
        made.append(Change(new.name, "SQL", "changed", diff_lines(old.sql, new.sql)))
    for field in sorted({*old.declared, *new.declared}):
        one, other = _text(old.declared.get(field)), _text(new.declared.get(field))
        if one != other:
            made.append(Change(new.name, field.capitalize(), "changed", diff_lines(one, other)))
    if old.blob != new.blob and old.sql is None:
        made.append(Change(new.name, "File", "changed", diff_lines(old.blob, new.blob)))
    return made


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
