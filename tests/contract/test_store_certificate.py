"""A release recorded in a real database is verified by a stranger with the file, the public key and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from installation.settings import Settings
from ledger import certificate, keys
from ledger.entry import Entry
from store import evidence
from store.database import Database
from store.schema import person
from tests.unit.ledger.release_case import facts, members, stand_alone

AT = datetime(2026, 11, 23, 22, 35, 0, 123456, tzinfo=UTC)


def test_a_recorded_release_verifies_with_its_own_and_with_a_later_receipt(tmp_path: Path) -> None:
    db = Database.open(Settings(home=tmp_path))
    packed = members(facts())
    statement = certificate.state(facts(), packed)
    for number in range(9):
        with db.transaction(AT) as t:
            t.execute(insert(person).values(name=f"p{number}", uid=number))
            t.record(Entry("person.added", "adam", {"person": f"p{number}"}))
            if number == 4:
                recorded = {"certificate": certificate.digest(statement)}
                seq = t.record(
                    Entry(certificate.RECORDED_BY, "gate", {"request": "R-17", "project": "liver"}, recorded)
                )
                first = t.receipt(seq)
    with db.read() as c:
        receipts = [first, evidence.receipt(c, seq, seq + 1), evidence.receipt(c, seq), evidence.receipt(c, seq, 8)]
    assert receipts[0] == receipts[1]
    db.close()
    signer, public = keys.load(tmp_path / "secrets" / "ledger.key"), keys.public(tmp_path / "ledger.pub")
    alone = stand_alone()
    for receipt in receipts:
        data = certificate.pack(packed, certificate.seal(statement, signer, receipt))
        found = certificate.verify_bytes(data, public)
        assert found.ok, found.message
        assert alone.verify_release(data, alone.PublicKey(str(public)))[0] == found.statement
