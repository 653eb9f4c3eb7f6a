"""A ledger and a release written once and kept: what is written today is the same, and what was written then still holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger import bundle, certificate, export
from ledger.note import Verifier
from ledger.verify import verify_log
from tests.unit.ledger.release_case import SIGNER, release, stand_alone
from tests.unit.ledger.test_ledger_stand_alone import Held

GOLDEN = Path(__file__).parent / "golden"
KEY = Verifier.parse((GOLDEN / "ledger.pub").read_text("utf-8"))
ALONE = stand_alone()


def test_the_kept_ledger_holds_and_would_be_written_alike(tmp_path: Path) -> None:
    export.write(Held(7), tmp_path / "ledger.jsonl")
    assert (tmp_path / "ledger.jsonl").read_bytes() == (GOLDEN / "ledger.jsonl").read_bytes()
    assert verify_log(export.ExportedLog(GOLDEN / "ledger.jsonl"), KEY).size == 7
    assert ALONE.verify_ledger(GOLDEN / "ledger.jsonl", ALONE.PublicKey(str(KEY)), [])[0] == 7


def test_the_kept_release_holds_and_would_be_written_alike() -> None:
    assert certificate.verify_bundle(GOLDEN / "release.zip", KEY).ok
    assert release() == (GOLDEN / "release.zip").read_bytes()
    assert ALONE.verify_release((GOLDEN / "release.zip").read_bytes(), ALONE.PublicKey(str(KEY)))
    assert str(SIGNER.verifier) == str(KEY)


def test_a_release_whose_crate_does_not_encode_names_still_holds() -> None:
    """Written before the crate's references were percent-encoded."""
    old = GOLDEN / "release-unencoded.zip"
    assert certificate.verify_bundle(old, KEY).ok
    assert ALONE.verify_release(old.read_bytes(), ALONE.PublicKey(str(KEY)))


@pytest.mark.parametrize("field", ["statement", "receipt", "signature", "key", "format"])
def test_the_reference_page_names_every_field(field: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "certificate.md").read_text("utf-8")
    assert f"`{field}`" in page
    statement = json.loads(bundle.unpack(release())[certificate.NAME])["statement"]
    assert [name for name in statement if f"`{name}`" not in page] == []
