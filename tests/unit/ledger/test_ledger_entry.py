"""An entry is refused unless it can be evidence, and its bytes are one and the same for everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import MAX_BYTES, Entry, canonical, decode, encode
from ledger.errors import EntryRefused

TIME = "2026-11-23T22:35:00.123456Z"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def entry(**changes: Any) -> Entry:
    values = {"kind": "request.submitted", "actor": "ana", "subject": {"request": "R-17"}, "facts": {}, **changes}
    return Entry(**values)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "submitted"},
        {"kind": "Request.Submitted"},
        {"kind": ""},
        {"kind": None},
        {"actor": ""},
        {"actor": 7},
        {"subject": {}},
        {"subject": {"request": ""}},
        {"subject": {"request": 17}},
        {"subject": {"Request": "R-17"}},
        {"subject": ["request"]},
        {"facts": {"share": 0.5}},
        {"facts": {"nested": [{"deep": 1.0}]}},
        {"facts": {"when": object()}},
        {"facts": {"raw": b"bytes"}},
        {"facts": {1: "key"}},
        {"facts": {"big": 2**53 + 1}},
        {"facts": {"broken": "\ud800"}},
        {"facts": ["not", "an", "object"]},
        {"facts": {"bulk": "x" * MAX_BYTES}},
    ],
)
def test_what_cannot_be_evidence_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EntryRefused):
        encode(entry(**changes), seq=0, time=TIME)


@pytest.mark.parametrize(("seq", "time"), [(-1, TIME), (True, TIME), (0, "2026-11-23T22:35:00Z"), (0, "yesterday")])
def test_a_malformed_number_or_time_is_refused(seq: int, time: str) -> None:
    with pytest.raises(EntryRefused):
        encode(entry(), seq=seq, time=time)


def test_nesting_beyond_reason_is_refused() -> None:
    deep: Any = {}
    for _ in range(40):
        deep = {"in": deep}
    with pytest.raises(EntryRefused):
        encode(entry(facts=deep), seq=0, time=TIME)


def test_the_bytes_are_these() -> None:
    made = encode(entry(facts={"b": [1, True, None], "a": 'é\n"\\\u0001'}), seq=3, time=TIME)
    assert made == (
        b'{"actor":"ana","facts":{"a":"\xc3\xa9\\n\\"\\\\\\u0001","b":[1,true,null]},"kind":"request.submitted","seq":3,'
        b'"subject":{"request":"R-17"},"time":"2026-11-23T22:35:00.123456Z","v":1}'
    )


@given(st.dictionaries(TEXT, JSON, max_size=4), st.integers(0, 2**40))
def test_what_was_written_is_read_back(facts: dict[str, Any], seq: int) -> None:
    recorded = decode(encode(entry(facts=facts), seq=seq, time=TIME))
    assert (recorded.seq, recorded.time, recorded.entry) == (seq, TIME, entry(facts=facts))


@given(JSON)
def test_canonical_json_is_json_and_does_not_depend_on_order(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    "altered",
    [
        lambda b: b.replace(b'"v":1', b'"v":2'),
        lambda b: b.replace(b'"v":1', b'"v":1.0'),
        lambda b: b.replace(b'"v":1', b'"extra":0,"v":1'),
        lambda b: b.replace(b'"seq":0', b'"seq":0,"seq":0'),
        lambda b: b.replace(b'"seq":0', b'"seq":-0'),
        lambda b: b.replace(b'"seq":0', b'"seq":false'),
        lambda b: b.replace(b"ana", b"\\u0061na"),
        lambda b: b + b"\n",
        lambda b: b" " + b,
        lambda b: b.replace(b",", b", "),
        lambda b: b"[" * 100_000,
        lambda b: b"",
        lambda b: b"null",
        lambda b: b.decode().encode("utf-16"),
        lambda b: b.replace(b"ana", b"an\xff"),
    ],
)
def test_bytes_that_are_not_the_one_form_are_refused(altered: Any) -> None:
    data = encode(entry(), seq=0, time=TIME)
    with pytest.raises(EntryRefused):
        decode(altered(data))
