"""Signed notes: what another implementation signed is read, and nothing but the one spelling passes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import keys
from ledger.errors import KeyFault, NoteFault
from ledger.note import Checkpoint, Signer, Verifier, open_checkpoint, open_note

SIGNER = Signer("glovebox-ledger", bytes(range(32)))
# The example of the Go package golang.org/x/mod/sumdb/note.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_signed_by_the_reference_implementation_is_read_and_signed_alike() -> None:
    verifier = Verifier.parse(GO_PUBLIC)
    text = open_note(GO_NOTE, verifier)
    signer = Signer.parse(GO_SECRET)
    assert signer.verifier == verifier
    assert str(verifier) == GO_PUBLIC
    assert signer.secret() == GO_SECRET
    assert signer.sign(text) == GO_NOTE


def test_a_checkpoint_comes_back() -> None:
    checkpoint = Checkpoint(SIGNER.name, 17, bytes(32))
    assert open_checkpoint(checkpoint.sign(SIGNER), SIGNER.verifier) == checkpoint


@given(st.data())
def test_any_flipped_character_is_refused(data: st.DataObject) -> None:
    note = Checkpoint(SIGNER.name, 17, bytes(32)).sign(SIGNER)
    at = data.draw(st.integers(0, len(note) - 1))
    bit = data.draw(st.integers(0, 6))
    flipped = note[:at] + chr(ord(note[at]) ^ (1 << bit)) + note[at + 1 :]
    with pytest.raises(NoteFault):
        open_checkpoint(flipped, SIGNER.verifier)


def test_a_note_by_another_key_of_the_same_name_is_refused() -> None:
    other = Signer(SIGNER.name, bytes(32))
    with pytest.raises(NoteFault):
        open_note(other.sign("text\n"), SIGNER.verifier)


def test_a_further_signature_is_ignored_and_a_wrong_one_is_not() -> None:
    other = Signer("witness", bytes(32))
    note = SIGNER.sign("text\n")
    assert open_note(note + other.sign("text\n").rpartition("\n\n")[2], SIGNER.verifier) == "text\n"
    wrong = SIGNER.sign("other\n").rpartition("\n\n")[2]
    with pytest.raises(NoteFault):
        open_note("text\n\n" + wrong, SIGNER.verifier)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n- glovebox-ledger AAAA\n",
        "te\rxt\n\n— a AAAAAAA=\n",
    ],
)
def test_what_is_not_a_note_is_refused(note: str) -> None:
    with pytest.raises(NoteFault):
        open_note(note, SIGNER.verifier)


@pytest.mark.parametrize(
    "text",
    ["glovebox-ledger\n017\n", "glovebox-ledger\n-1\n", "glovebox-ledger\n१\n", "other\n17\n", "glovebox-ledger\n17\n"],
)
def test_signed_text_that_is_no_checkpoint_of_this_log_is_refused(text: str) -> None:
    root = "" if text == "glovebox-ledger\n17\n" else "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    with pytest.raises(NoteFault):
        open_checkpoint(SIGNER.sign(text + root), SIGNER.verifier)


@pytest.mark.parametrize("text", ["no newline", "carriage\r\n", "nul\x00\n"])
def test_text_that_is_no_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteFault):
        SIGNER.sign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        GO_PUBLIC.replace("c74f20a3", "c74f20a4"),
        GO_PUBLIC.replace("PeterNeumann", "Peter"),
        GO_PUBLIC.replace("ARpc", "AhpC"),
        GO_PUBLIC[:-4],
        GO_SECRET,
    ],
)
def test_a_malformed_public_key_is_refused(text: str) -> None:
    with pytest.raises(KeyFault):
        Verifier.parse(text)


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "line\nbreak", "wide\u3000blank"])
def test_a_name_that_a_note_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(KeyFault):
        Signer.generate(name)


def test_a_secret_is_not_printed_by_accident() -> None:
    import base64

    seed = base64.b64encode(b"\x01" + SIGNER.seed).decode()
    assert seed not in f"{SIGNER} {SIGNER!r}"
    assert seed in SIGNER.secret()


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "ledger.key"
    first = keys.ensure(path, "glovebox-ledger")
    assert keys.ensure(path, "glovebox-ledger") == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["ledger.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "ledger.key"
    keys.ensure(path, "glovebox-ledger")
    path.chmod(mode)
    with pytest.raises(KeyFault) as refused:
        keys.load(path)
    assert "chmod 600" in refused.value.do


def test_a_broken_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.key"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    os.close(descriptor)
    with pytest.raises(KeyFault):
        keys.ensure(path, "glovebox-ledger")


def test_the_public_key_is_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.pub"
    keys.publish(SIGNER, path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert keys.public(path) == SIGNER.verifier
