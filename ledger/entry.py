"""One entry: what happened, who did it, to which nouns, with which facts; and its canonical bytes, the leaf of the tree.

Canonical form: JSON with keys sorted by code point, no blanks, UTF-8, integers but no floats (RFC 8785 would need a float
printer; evidence has no use for one). Two readers in two languages get the same bytes, hence the same hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import EntryRefused

VERSION = 1
MAX_BYTES = 64 * 1024
_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
_NOUN = re.compile(r"[a-z][a-z_]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True)
class Entry:
    """``kind`` is noun.verb-past (``request.submitted``); ``subject`` maps nouns to names; ``facts`` is JSON without floats.

    Facts never hold plaintext data: digests, counts and names of rules only.
    """

    kind: str
    actor: str
    subject: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """An entry as read back from its leaf."""

    seq: int
    time: str
    entry: Entry

    def as_json(self) -> dict[str, Any]:
        """The entry as an object, for programs."""
        said = self.entry
        body = {"kind": said.kind, "actor": said.actor, "subject": dict(said.subject), "facts": dict(said.facts)}
        return {"seq": self.seq, "time": self.time, **body}


def encode(entry: Entry, *, seq: int, time: str) -> bytes:
    """The leaf's bytes. ``time`` is UTC text with microseconds and ``Z``. Raises EntryRefused."""
    if not isinstance(entry.kind, str) or not _KIND.fullmatch(entry.kind):
        raise _refused("its kind is not noun.verb", "Name it like request.submitted.")
    if not isinstance(entry.actor, str) or not entry.actor:
        raise _refused("it names no actor", "Every entry is attributable to a person or a process.")
    if not _is_subject(entry.subject):
        raise _refused("its subject is empty or not text", "Name at least one noun, in lower case, with a name.")
    if not isinstance(entry.facts, Mapping):
        raise _refused("its facts are not an object", "Give the facts names.")
    if isinstance(seq, bool) or seq < 0 or not _TIME.fullmatch(time):
        raise _refused("its number or time is malformed", "Use a number from 0 and UTC time with microseconds.")
    body = {
        "actor": entry.actor,
        "facts": entry.facts,
        "kind": entry.kind,
        "seq": seq,
        "subject": entry.subject,
        "time": time,
        "v": VERSION,
    }
    data = canonical(body)
    if len(data) > MAX_BYTES:
        raise _refused(f"it is larger than {MAX_BYTES} bytes", "Put bulk into a blob and record its digest.")
    return data


def _is_subject(subject: object) -> bool:
    if not isinstance(subject, Mapping) or not subject:
        return False
    nouns = all(isinstance(noun, str) and _NOUN.fullmatch(noun) for noun in subject)
    return nouns and all(isinstance(name, str) and name for name in subject.values())


def decode(data: bytes) -> Recorded:
    """Read a leaf back. Raises EntryRefused when the bytes are not the canonical form of an entry of this version."""
    try:
        body = json.loads(data)
        if body["v"] != VERSION:
            raise _refused(f"it has format version {body['v']!r}", f"This program reads version {VERSION}.")
        entry = Entry(body["kind"], body["actor"], body["subject"], body["facts"])
        recorded = Recorded(body["seq"], body["time"], entry)
        again = encode(entry, seq=recorded.seq, time=recorded.time)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
        raise _refused("its bytes are not an entry", "Treat this leaf as altered.") from broken
    if again != data:
        raise _refused("its bytes are not in canonical form", "Treat this leaf as altered.")
    return recorded


def canonical(value: Any) -> bytes:
    """Canonical JSON of ``value``. Raises EntryRefused for floats and for anything JSON does not know."""
    try:
        return json.dumps(
            _plain(value, 0), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode("utf-8")
    except UnicodeEncodeError as broken:
        raise _refused("it holds text that is not Unicode", "Replace the broken characters.") from broken


def _plain(value: Any, depth: int) -> Any:
    if depth > 32:
        raise _refused("it is nested too deeply", "Flatten the facts.")
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if abs(value) > 2**53:
            raise _refused("an integer is beyond what every reader keeps exact", "Write it as text.")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _refused("a key is not text", "Use text keys.")
        return {key: _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, depth + 1) for inner in value]
    raise _refused(
        f"it holds a {type(value).__name__}", "Use text, whole numbers, true, false, null, lists and objects."
    )


def _refused(why: str, do: str) -> EntryRefused:
    return EntryRefused("The ledger entry was refused.", why=f"Because {why}.", do=do)
