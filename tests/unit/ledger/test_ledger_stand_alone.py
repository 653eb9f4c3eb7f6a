"""The stand-alone verifier: its own Ed25519 against RFC 8032 and the library, its ledger reading, its command."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from installation.settings import CHECKOUT
from ledger import certificate, export
from ledger.entry import Entry, encode
from ledger.merkle import Frontier, leaf_hash
from ledger.note import Checkpoint, Verifier
from ledger.verify import Leaf, verify_log
from tests.unit.ledger.release_case import SIGNER, TIME, facts, log_with, members, release, stand_alone

ALONE = stand_alone()
FILE = Path(CHECKOUT) / "verifier" / "glovebox_verify.py"
# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
        "55141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]


def key_of(raw: bytes) -> object:
    return ALONE.PublicKey(str(Verifier("name", raw)))


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_published_signatures_hold_and_their_changes_do_not(public: str, message: str, signature: str) -> None:
    key, text, signed = key_of(bytes.fromhex(public)), bytes.fromhex(message), bytes.fromhex(signature)
    assert key.signed(text, signed)  # type: ignore[attr-defined]
    assert not key.signed(text + b"!", signed)  # type: ignore[attr-defined]
    for at in range(64):
        changed = bytearray(signed)
        changed[at] ^= 1
        assert not key.signed(text, bytes(changed))  # type: ignore[attr-defined]


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
@settings(max_examples=25, deadline=None)
def test_it_agrees_with_the_library(seed: bytes, message: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = key_of(private.public_key().public_bytes_raw())
    assert key.signed(message, private.sign(message))  # type: ignore[attr-defined]


def test_the_same_signature_in_another_spelling_is_refused() -> None:
    public, message, signature = VECTORS[1]
    signed = bytes.fromhex(signature)
    larger = int.from_bytes(signed[32:], "little") + ALONE.ORDER
    again = signed[:32] + larger.to_bytes(32, "little")
    assert not key_of(bytes.fromhex(public)).signed(bytes.fromhex(message), again)  # type: ignore[attr-defined]
    assert not key_of(bytes.fromhex(public)).signed(bytes.fromhex(message), signed[:-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("raw", [b"\xff" * 32, (2**255 - 19).to_bytes(32, "little"), b"\x02" + bytes(31)])
def test_bytes_that_are_no_point_are_no_key(raw: bytes) -> None:
    with pytest.raises(ALONE.Wrong):
        key_of(raw)


def test_it_needs_nothing_but_the_standard_library() -> None:
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(FILE.read_text("utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert imported <= set(sys.stdlib_module_names)


@dataclass
class Held:
    count: int

    def leaves(self) -> Iterator[Leaf]:
        tree = Frontier()
        for seq in range(self.count):
            body = encode(Entry("person.added", "adam", {"person": f"p{seq}"}, {"名": seq}), seq=seq, time=TIME)
            tree = tree.append(leaf_hash(body))
            yield Leaf(seq, body, leaf_hash(body), Checkpoint(SIGNER.name, tree.size, tree.root()).sign(SIGNER))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export.write(Held(7), tmp_path / "ledger.jsonl")
    return tmp_path / "ledger.jsonl"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a data owner does: another interpreter, isolated, in an empty environment."""
    command = [sys.executable, "-I", "-S", str(FILE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONUTF8": "1"}, check=False)


def test_the_command_verifies_a_ledger(exported: Path) -> None:
    answer = run(exported, "--key", SIGNER.verifier, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert json.loads(answer.stdout)["entries"] == 7
    checkpoint = json.loads(answer.stdout)["checkpoint"]
    kept = exported.with_name("kept")
    kept.write_text(checkpoint * 2)
    assert run(exported, "--key", SIGNER.verifier, "--kept", kept).returncode == 0
    exported.write_text("".join(exported.read_text("utf-8").splitlines(keepends=True)[:5]), "utf-8")
    cut = run(exported, "--key", SIGNER.verifier, "--kept", kept)
    assert (cut.returncode, "Entry 5" in cut.stdout) == (1, True)


def test_the_command_verifies_a_release(tmp_path: Path) -> None:
    path, key = tmp_path / "R-17.zip", tmp_path / "ledger.pub"
    path.write_bytes(release())
    key.write_text(f"{SIGNER.verifier}\n")
    told = run(path, "--key", key)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "approve by stella" in told.stdout
    assert "BUT" not in told.stdout
    untold = run(path)
    assert (untold.returncode, "BUT this key came from the file itself" in untold.stdout) == (0, True)
    path.write_bytes(release().replace(b"9000", b"9001"))
    assert run(path, "--key", key).returncode == 1


def later(log: list[bytes], *entries: Entry) -> list[bytes]:
    return [*log, *(encode(entry, seq=len(log) + i, time=TIME) for i, entry in enumerate(entries))]


@dataclass
class Bodies:
    bodies: list[bytes]

    def leaves(self) -> Iterator[Leaf]:
        tree = Frontier()
        for seq, body in enumerate(self.bodies):
            tree = tree.append(leaf_hash(body))
            yield Leaf(seq, body, leaf_hash(body), Checkpoint(SIGNER.name, tree.size, tree.root()).sign(SIGNER))


def test_a_newer_ledger_tells_whether_a_release_was_revoked(tmp_path: Path) -> None:
    packed = members(facts())
    statement = certificate.state(facts(), packed)
    log = log_with(statement)
    path, ledger = tmp_path / "R-17.zip", tmp_path / "ledger.jsonl"
    path.write_bytes(certificate.pack(packed, certificate.seal(statement, SIGNER, log.receipt(2))))
    ours, others = {"request": "R-17", "release": "1"}, {"request": "R-18", "release": "2"}
    taken = later(log.bodies, Entry("release.downloaded", "ana", ours), Entry("release.revoked", "stella", others))

    export.write(Bodies(taken), ledger)
    good = run(path, "--key", SIGNER.verifier, "--ledger", ledger, "--json")
    assert good.returncode == 0, good.stdout
    assert json.loads(good.stdout)["downloads"] == [{"person": "ana", "time": TIME, "entry": 5}]

    export.write(Bodies(later(taken, Entry("release.revoked", "stella", ours))), ledger)
    revoked = run(path, "--key", SIGNER.verifier, "--ledger", ledger)
    assert (revoked.returncode, "it was revoked: entry 7, by stella" in revoked.stdout) == (1, True)

    for other, said in ((log.bodies[:3], "the log ends here"), (log_with(b"{}").bodies, "history was rewritten")):
        export.write(Bodies(other), ledger)
        answer = run(path, "--key", SIGNER.verifier, "--ledger", ledger)
        assert (answer.returncode, said in answer.stdout) == (1, True), answer.stdout


def test_a_wrong_question_is_told_apart_from_a_wrong_file(tmp_path: Path, exported: Path) -> None:
    assert run(tmp_path / "absent", "--key", SIGNER.verifier).returncode == 2
    assert run(exported, "--key", tmp_path / "absent").returncode == 2
    assert run().returncode == 2
    assert run(exported).returncode == 1


def test_both_verifiers_find_any_changed_byte_of_an_export_at_the_same_entry(exported: Path) -> None:
    honest = exported.read_bytes()
    key = ALONE.PublicKey(str(SIGNER.verifier))
    assert ALONE.verify_ledger(exported, key, [])[0] == 7
    for at in range(0, len(honest), 7):
        changed = bytearray(honest)
        changed[at] ^= 1 << at % 8
        exported.write_bytes(bytes(changed))
        report = verify_log(export.ExportedLog(exported), SIGNER.verifier)
        assert not report.ok, at
        with pytest.raises(ALONE.Wrong, match=rf"Entry {report.first_bad}: "):
            ALONE.verify_ledger(exported, key, [])


def test_names_in_a_file_cannot_move_the_cursor() -> None:
    assert ALONE.shown("a\x1b[2Jb\rc\u202ed\n肝") == "a?[2Jb?c?d\n肝"
