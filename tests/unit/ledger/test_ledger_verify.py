"""Verification names the first wrong entry and what is wrong with it, whatever was done to the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger import export
from ledger.entry import Entry, encode
from ledger.errors import LedgerFault
from ledger.merkle import Frontier, leaf_hash
from ledger.note import Checkpoint, Signer
from ledger.verify import Damage, Leaf, verify_log

SIGNER = Signer("glovebox-ledger", bytes(range(32)))
STRANGER = Signer("glovebox-ledger", bytes(32))
TIME = "2026-11-23T22:35:00.123456Z"


def entry_bytes(seq: int, name: str | None = None) -> bytes:
    return encode(Entry("person.added", "adam", {"person": name or f"p{seq}"}), seq=seq, time=TIME)


def log_of(bodies: list[bytes], signer: Signer = SIGNER) -> list[Leaf]:
    leaves, tree = [], Frontier()
    for seq, body in enumerate(bodies):
        tree = tree.append(leaf_hash(body))
        note = Checkpoint(signer.name, tree.size, tree.root()).sign(signer)
        leaves.append(Leaf(seq, body, leaf_hash(body), note))
    return leaves


def honest(count: int = 9) -> list[Leaf]:
    return log_of([entry_bytes(i) for i in range(count)])


@dataclass
class Held:
    held: list[Leaf]

    def leaves(self) -> Iterator[Leaf]:
        yield from self.held


def changed(which: int, /, **values: object) -> Callable[[list[Leaf]], list[Leaf]]:
    def change(leaves: list[Leaf]) -> list[Leaf]:
        return [replace(leaf, **values) if leaf.seq == which else leaf for leaf in leaves]  # type: ignore[arg-type]

    return change


FORGED = entry_bytes(4, "mallory")
OTHER_SIZE = honest()[3].checkpoint


@pytest.mark.parametrize(
    ("tamper", "first_bad", "damage"),
    [
        (changed(4, body=FORGED), 4, Damage.BODY),
        (changed(4, body=b""), 4, Damage.BODY),
        (changed(4, leaf_hash=bytes(32)), 4, Damage.BODY),
        (changed(4, body=FORGED, leaf_hash=leaf_hash(FORGED)), 4, Damage.TREE),
        (changed(4, checkpoint=OTHER_SIZE), 4, Damage.TREE),
        (changed(4, checkpoint=""), 4, Damage.UNSIGNED),
        (changed(4, checkpoint=log_of([entry_bytes(i) for i in range(5)], STRANGER)[4].checkpoint), 4, Damage.UNSIGNED),
        (changed(4, seq=5), 4, Damage.GAP),
        (changed(4, beside="the column kind beside it was altered"), 4, Damage.BESIDE),
        (lambda log: log[:4] + log[5:], 4, Damage.GAP),
        (lambda log: log[1:], 0, Damage.GAP),
        (lambda log: [*log[:4], log[4], log[4], *log[5:]], 5, Damage.GAP),
        (lambda log: [*log[:4], log[5], log[4], *log[6:]], 4, Damage.GAP),
        (lambda log: log_of([*(leaf.body for leaf in log[:4]), b"not an entry"]), 4, Damage.FORMAT),
        (lambda log: log_of([*(leaf.body for leaf in log[:4]), entry_bytes(7)]), 4, Damage.FORMAT),
        (lambda log: log_of([leaf.body for leaf in log], STRANGER), 0, Damage.UNSIGNED),
    ],
)
def test_the_first_wrong_entry_is_named(
    tamper: Callable[[list[Leaf]], list[Leaf]], first_bad: int, damage: Damage
) -> None:
    report = verify_log(Held(tamper(honest())), SIGNER.verifier)
    assert not report.ok
    assert (report.first_bad, report.damage, report.size) == (first_bad, damage, first_bad)
    assert report.message.startswith(f"Entry {first_bad}: ")


def test_an_honest_log_holds_and_its_head_is_the_last_checkpoint() -> None:
    log = honest()
    report = verify_log(Held(log), SIGNER.verifier, [leaf.checkpoint for leaf in log])
    assert report.ok
    assert (report.size, report.first_bad, report.head) == (9, None, log[-1].checkpoint)
    assert verify_log(Held([]), SIGNER.verifier).ok


def test_a_cut_tail_shows_against_a_kept_checkpoint() -> None:
    log = honest()
    assert verify_log(Held(log[:6]), SIGNER.verifier).ok
    report = verify_log(Held(log[:6]), SIGNER.verifier, [log[8].checkpoint])
    assert (report.ok, report.first_bad, report.damage) == (False, 6, Damage.TRUNCATED)


def test_a_history_signed_anew_by_the_holder_of_the_key_shows_against_a_kept_checkpoint() -> None:
    log = honest()
    rewritten = log_of([*(leaf.body for leaf in log[:4]), FORGED, *(leaf.body for leaf in log[5:])])
    assert verify_log(Held(rewritten), SIGNER.verifier).ok
    report = verify_log(Held(rewritten), SIGNER.verifier, [log[6].checkpoint])
    assert (report.ok, report.damage, report.first_bad) == (False, Damage.REWRITTEN, 6)


def test_two_kept_checkpoints_that_contradict_each_other_prove_two_histories() -> None:
    log = honest()
    rewritten = log_of([entry_bytes(i, "mallory") for i in range(9)])
    report = verify_log(Held(log), SIGNER.verifier, [log[6].checkpoint, rewritten[6].checkpoint])
    assert (report.ok, report.damage) == (False, Damage.KEPT)


def test_a_kept_checkpoint_by_a_stranger_cannot_be_used() -> None:
    stranger = log_of([entry_bytes(0)], STRANGER)[0].checkpoint
    assert verify_log(Held(honest()), SIGNER.verifier, [stranger]).damage is Damage.KEPT


def test_an_export_verifies_with_the_public_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    assert export.write(Held(honest()), path) == 9
    report = verify_log(export.ExportedLog(path), SIGNER.verifier)
    assert (report.ok, report.size) == (True, 9)
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.jsonl"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        '{"seq":"4","body":"","leaf":"","checkpoint":""}',
        '{"seq":true,"body":"","leaf":"","checkpoint":""}',
        '{"seq":4,"body":"!","leaf":"","checkpoint":""}',
        '{"seq":4,"body":"","leaf":"zz","checkpoint":""}',
        '{"seq":4,"body":"","leaf":"","checkpoint":"","more":1}',
        "\udcff",
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_entry_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ledger.jsonl"
    export.write(Held(honest()), path)
    lines = path.read_text("utf-8").split("\n")
    lines[4] = line
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    report = verify_log(export.ExportedLog(path), SIGNER.verifier)
    assert (report.ok, report.first_bad, report.damage) == (False, 4, Damage.UNREADABLE)


def test_an_export_that_fails_leaves_no_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    class Broken:
        def leaves(self) -> Iterator[Leaf]:
            yield honest()[0]
            raise LedgerFault("Gone.", why="The disk failed.", do="Try again.")

    path = tmp_path / "ledger.jsonl"
    path.write_text("old")
    with pytest.raises(LedgerFault):
        export.write(Broken(), path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_report_is_json() -> None:
    assert json.loads(json.dumps(verify_log(Held(honest()), SIGNER.verifier).facts()))["ok"] is True
