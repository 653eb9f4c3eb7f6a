"""A release file is changed after it left: both verifiers, which share no code, must find it, whatever the change."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import bundle, certificate
from ledger.certificate import verify_bytes
from ledger.entry import canonical
from ledger.errors import BundleFault, LedgerFault
from ledger.note import Signer
from tests.unit.ledger.release_case import SIGNER, facts, log_with, members, release, stand_alone

ALONE = stand_alone()
KEY = ALONE.PublicKey(str(SIGNER.verifier))
HONEST = release()
Change = Callable[[dict[str, Any]], None]


def ours_holds(data: bytes) -> bool:
    return verify_bytes(data, SIGNER.verifier).ok


def theirs_holds(data: bytes) -> bool:
    try:
        ALONE.verify_release(data, KEY)
    except ALONE.Wrong:
        return False
    return True


def refused_by_both(data: bytes) -> bool:
    return not ours_holds(data) and not theirs_holds(data)


def test_the_honest_file_holds_for_both_and_for_any_zip_program() -> None:
    assert verify_bytes(HONEST, SIGNER.verifier).ok, verify_bytes(HONEST, SIGNER.verifier)
    assert theirs_holds(HONEST)
    with zipfile.ZipFile(io.BytesIO(HONEST)) as read:
        assert read.testzip() is None
        assert {i.filename: read.read(i) for i in read.infolist()} == bundle.unpack(HONEST)


def test_a_flipped_bit_in_any_byte_of_the_file_is_found() -> None:
    chance = random.Random(3)
    for at in range(len(HONEST)):
        flipped = bytearray(HONEST)
        flipped[at] ^= 1 << chance.randrange(8)
        assert not ours_holds(bytes(flipped)), at


def test_a_flipped_bit_is_found_by_the_stand_alone_verifier() -> None:
    chance = random.Random(5)
    for at in range(0, len(HONEST), 3):
        flipped = bytearray(HONEST)
        flipped[at] ^= 1 << chance.randrange(8)
        assert not theirs_holds(bytes(flipped)), at


@pytest.mark.parametrize("name", sorted(bundle.unpack(HONEST)))
def test_any_byte_of_any_member_repacked_is_found(name: str) -> None:
    held = bundle.unpack(HONEST)
    chance = random.Random(name)
    for at in range(len(held[name])):
        changed = bytearray(held[name])
        changed[at] ^= 1 << chance.randrange(8)
        packed = bundle.pack({**held, name: bytes(changed)})
        assert not ours_holds(packed), at
        if at % 9 == 0:
            assert not theirs_holds(packed), at


@pytest.mark.parametrize("cut", [0, 1, 4, 30, 1000, -1, -22, -23])
def test_a_file_that_breaks_off_is_refused(cut: int) -> None:
    assert refused_by_both(HONEST[:cut])


@given(st.binary(max_size=400))
@settings(max_examples=50)
def test_any_other_file_is_refused(data: bytes) -> None:
    assert refused_by_both(data)
    assert refused_by_both(b"PK\x03\x04" + data)


@pytest.mark.parametrize("name", sorted(bundle.unpack(HONEST)))
def test_a_missing_member_is_found(name: str) -> None:
    held = bundle.unpack(HONEST)
    del held[name]
    assert refused_by_both(bundle.pack(held))


def test_members_that_were_not_signed_are_found() -> None:
    assert refused_by_both(bundle.pack({**bundle.unpack(HONEST), "data/more.csv": b"a\n"}))
    assert refused_by_both(HONEST + b"hidden")
    assert refused_by_both(b"hidden" + HONEST)
    commented = io.BytesIO(HONEST)
    with zipfile.ZipFile(commented, "a") as zipped:
        zipped.comment = b"hidden"
    assert refused_by_both(commented.getvalue())


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../x", "a//x", "./x", "C:x", "a\\x", "", "a\nx", "x" * 256, "\u202ex"]
)
def test_a_name_that_could_be_written_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(BundleFault):
        bundle.pack({name: b""})
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        info = zipfile.ZipInfo(name or "x", (1980, 1, 1, 0, 0, 0))
        info.external_attr, info.create_system = 0o100644 << 16, 3
        made.writestr(info, b"")
    if name:
        assert refused_by_both(zipped.getvalue())


def test_a_zip_by_another_program_with_the_same_members_is_refused() -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in bundle.unpack(HONEST).items():
            made.writestr(name, data)
    assert refused_by_both(zipped.getvalue())


def test_names_that_differ_in_case_only_are_refused() -> None:
    local, central, offset = b"", [], 0
    for name in ("A.txt", "a.txt"):
        head, entry = bundle._headers(name, b"", offset)
        local, offset = local + head, offset + len(head)
        central.append(entry)
    assert refused_by_both(local + bundle._closing(central, offset))
    with pytest.raises(BundleFault):
        bundle.unpack(local + bundle._closing(central, offset))
    with pytest.raises(BundleFault):
        bundle.pack({"A.txt": b"", "a.txt": b""})


def test_another_key_is_refused_even_of_the_same_name() -> None:
    stranger = Signer(SIGNER.name, bytes(32))
    about = facts()
    packed = members(about)
    statement = certificate.state(about, packed)
    log = log_with(statement)
    forged = certificate.seal(statement, stranger, type(log)(log.bodies, stranger).receipt(2))
    assert verify_bytes(certificate.pack(packed, forged)).ok  # whole, but by whom?
    assert not verify_bytes(certificate.pack(packed, forged)).key_given
    assert refused_by_both(certificate.pack(packed, forged))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "request.approved"},
        {"subject": {"request": "R-18", "project": "liver"}},
        {"subject": {"project": "liver"}},
        {"facts": {}},
        {"facts": {"certificate": "0" * 64}},
    ],
)
def test_a_ledger_entry_that_records_something_else_is_refused(changes: dict[str, Any]) -> None:
    assert refused_by_both(release(**changes))


def test_a_release_that_the_ledger_does_not_hold_is_refused() -> None:
    about = facts()
    packed = members(about)
    statement = certificate.state(about, packed)
    honest, other = log_with(statement), log_with(canonical({"other": 1}))
    mixed = certificate.Recorded(2, honest.bodies[2], other.receipt(2).path, other.receipt(2).checkpoint)
    assert refused_by_both(certificate.pack(packed, certificate.seal(statement, SIGNER, mixed)))


def gone(field: str) -> Change:
    return lambda s: s.pop(field)


def put(field: str, value: Any) -> Change:
    return lambda s: s.__setitem__(field, value)


def inner(field: str, at: Any, key: str, value: Any) -> Change:
    return lambda s: (s[field] if at is None else s[field][at]).__setitem__(key, value)


CONTRADICTIONS: dict[str, Change] = {
    **{
        f"no {field}": gone(field)
        for field in ("format", "revision", "lineage", "checks", "decision", "reviews", "files")
    },
    **{f"odd {field}": put(field, 7) for field in ("lineage", "checks", "decision", "reviews", "files", "format")},
    "no author": gone("author"),
    "another format": put("format", "glovebox-release/2"),
    "no data": put("lineage", []),
    "no check": put("checks", []),
    "code is not its digest": inner("checks", 0, "sql", "SELECT * FROM nafld1"),
    "data from elsewhere": inner("checks", 0, "versions", ["mgus/1"]),
    "a digest is none": inner("lineage", 0, "sha256", "none"),
    "policy refused": inner("decision", None, "outcome", "refuse"),
    "nobody approved": put("reviews", []),
    "a reviewer rejected": inner("reviews", 0, "verdict", "reject"),
    "the author approved": inner("reviews", 0, "reviewer", "ana"),
    "two were needed": lambda s: s["decision"]["obligations"].__setitem__("approvals", 2),
    "nobody says how many": lambda s: s["decision"]["obligations"].clear(),
    "a file is larger": inner("files", 0, "bytes", 99999),
    "a file is another": inner("files", 0, "sha256", "0" * 64),
    "a file twice": lambda s: s["files"].append(s["files"][0]),
    "a file more": lambda s: s["files"].append({"name": "x", "sha256": "0" * 64, "bytes": 0}),
}


@pytest.mark.parametrize("change", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_statement_that_contradicts_itself_is_refused_even_when_signed(change: Change) -> None:
    assert refused_by_both(release(change))


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=3)
    | st.just([])
    | st.just({})
    | st.just([{}])
    | st.just([[]])
)


def other_than(value: Any) -> st.SearchStrategy[Any]:
    return ODD.filter(lambda odd: odd != value)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_signed_statement_the_answer_is_no_and_never_a_crash(data: st.DataObject) -> None:
    def change(statement: dict[str, Any]) -> None:
        holder: Any = statement
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = data.draw(st.sampled_from(keys))
            if isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.booleans()):
                holder = holder[key]
                continue
            holder[key] = data.draw(other_than(holder[key]))
            return

    try:
        made = release(change)
    except LedgerFault:
        return  # canonical JSON would not have it
    ours, theirs = verify_bytes(made, SIGNER.verifier), theirs_holds(made)
    assert ours.ok == theirs, "the two verifiers disagree"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_certificate_the_answer_is_no_and_never_a_crash(data: st.DataObject) -> None:
    held = bundle.unpack(HONEST)
    envelope = json.loads(held[certificate.NAME])
    holder = data.draw(st.sampled_from([envelope, envelope["receipt"]]))
    key = data.draw(st.sampled_from(sorted(holder)))
    holder[key] = data.draw(other_than(holder[key]))
    assert refused_by_both(bundle.pack({**held, certificate.NAME: canonical(envelope)}))


def test_a_path_is_verified_as_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "R-17.zip"
    path.write_bytes(HONEST)
    found = certificate.verify_bundle(path, SIGNER.verifier)
    assert (found.ok, found.key_given) == (True, True)
    assert found.facts()["statement"]["request"] == "R-17"
