"""An adversary who holds a masked version, all identity numbers and the source code, but not the project's key."""

from __future__ import annotations

import hashlib
import hmac

import duckdb
import pytest

from provisioning.domain.dataset import Column
from provisioning.domain.masking import Pseudonym, TableRecipe
from provisioning.domain.masking_key import Construction, MaskingKey
from provisioning.intake.masking import masked_select

PEOPLE = [str(number) for number in range(500)]
KEY = MaskingKey(hashlib.sha256(b"a project's key").digest())


def published(key: MaskingKey) -> list[str]:
    with duckdb.connect() as engine:
        engine.execute("CREATE TABLE t AS SELECT r::VARCHAR AS id FROM range(500) s(r)")
        recipe = TableRecipe({"id": Pseudonym()})
        return [
            row[0]
            for row in engine.execute(masked_select("t", [Column("id", "VARCHAR")], "id", recipe, key)).fetchall()
        ]


@pytest.mark.parametrize("construction", list(Construction))
def test_who_knows_everybody_and_the_construction_but_not_the_key_finds_nobody(construction: Construction) -> None:
    seen = set(published(MaskingKey(KEY.secret, construction)))
    assert len(seen) == len(PEOPLE)
    for guessed in (b"", bytes(32), b"glovebox pseudonym/2", hashlib.sha256(b"another").digest()):
        drawn = hmac.digest(guessed, b"glovebox pseudonym/2", "sha256")
        tried = {
            hashlib.sha256(before + person.encode()).hexdigest() for before in (guessed, drawn) for person in PEOPLE
        }
        tried |= {hmac.new(guessed, f"pseudonym:{person}".encode(), "sha256").hexdigest() for person in PEOPLE}
        assert not seen & {digest[:24] for digest in tried}


def test_no_digest_is_published_that_could_be_continued() -> None:
    """To continue a SHA-256 over more text takes its 256 bits of state: 160 of them never leave."""
    assert {len(pseudonym) for pseudonym in published(KEY)} == {24}


def test_the_first_constructions_pseudonyms_do_not_link_to_the_seconds_under_one_secret() -> None:
    assert not set(published(KEY)) & set(published(MaskingKey(KEY.secret, Construction.HMAC)))
