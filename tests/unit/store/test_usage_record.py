"""What all projects, people or versions used, from one reading, is what each is counted by itself."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from store.usage import Usage, usage
from store.usage_record import record
from tests.unit.gate.factory import START, World, make_world

VERSIONS = (["nafld/1"], ["nafld/1", "heart/2"], ["heart/2"])
AT = [stamp(START + timedelta(hours=n)) for n in range(20)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Thirty sandboxes of three people in two projects with what ran in them, and requests, some divided, some released twice over."""
    made, chance = make_world(tmp_path_factory.mktemp("usage") / "home"), random.Random(7)
    with made.database.transaction(START) as t:
        project = {"title": "t", "purpose": "p", "sponsor": "c", "state": "active", "created_at": AT[0]}
        t.execute(insert(s.project).values(name="lungs", created_by="adam", expires_at=AT[-1], **project))
        for n in range(30):
            took = {"processor_ms": chance.randrange(9_999), "memory_bytes": chance.randrange(99), "read_bytes": n}
            name = {"id": f"c{n}", "server_name": "s", "container": "c", "image_digest": "i", "view": "open"}
            who = {"person": chance.choice(["ana", "bo", "cem"]), "project": chance.choice(["liver", "lungs"])}
            used = {"used": json.dumps(took if n % 3 else {}), "versions": json.dumps(chance.choice(VERSIONS))}
            when = {"started_at": AT[n % 10], "stopped_at": AT[n % 10 + 5] if n % 4 else None}
            t.execute(insert(s.sandbox).values(**name, **who, **used, **when))
        event = {"digest": "d", "facts": "{}"}
        for n in range(200):
            kind = chance.choice(["cell", "shown", "refused"])
            of = {"sandbox": f"c{chance.randrange(30)}", "time": chance.choice(AT), "kind": kind, "bytes": n}
            t.execute(insert(s.session_event).values(**of, **event))
        words = {"project": "liver", "author": "ana", "title": "t", "purpose": "p", "state": "released", "revision": 1}
        for n in range(1, 41):
            of = {"sandbox": f"c{chance.randrange(30)}", "created_at": chance.choice(AT), "updated_at": AT[0]}
            t.execute(insert(s.release_request).values(id=n, **of, **words))
            if n % 2:
                left = {
                    "request": n,
                    "revision": 1,
                    "bundle": "b",
                    "certificate": "c",
                    "released_at": chance.choice(AT),
                }
                t.execute(insert(s.release).values(id=n, **left))
                for item in range(chance.randrange(3)):
                    size = {"versions": json.dumps(chance.choice(VERSIONS)), "cells": n, "bytes": 10 * n}
                    t.execute(insert(s.release_size).values(release=n, item=f"i{item}", **size))
                for _ in range(chance.randrange(4)):
                    t.execute(insert(s.download).values(release=n, person="ana", downloaded_at=AT[3]))
        held = {"revision": 1, "item": "i", "verdict": "return"}
        t.execute(insert(s.held_output).values(request=2, goes_on_as=4, **held))
        t.execute(update(s.sandbox).where(s.sandbox.c.id == "c5").values(used='{"processor_ms": -5}'))
        t.record(Entry("test.filled", "adam", {"project": "liver"}, {}))
    return made


@pytest.mark.parametrize("by", ["project", "person", "version"])
@pytest.mark.parametrize("since", ["", AT[6], AT[-1], "9999"])
def test_each_line_is_what_is_counted_by_itself(world: World, by: str, since: str) -> None:
    with world.database.read() as c:
        found = record(c, since=since).by(by)
        alone = {name: usage(c, since=since, **{by: name}) for name in found}  # type: ignore[arg-type]
    assert found == alone
    assert len(found) >= 2


def test_of_one_project_nothing_of_another_counts(world: World) -> None:
    with world.database.read() as c:
        found = record(c, project="liver").by("person")
        alone = {name: usage(c, project="liver", person=name) for name in found}
        everything = record(c).by("person")
    assert found == alone
    assert found != everything
    assert all(used != Usage() for used in found.values())
