"""Questions and answers with the author, and private notes between reviewers, as part of the request's record."""

from __future__ import annotations

import hashlib
from datetime import datetime

from egress_gate.policy.facts import Person
from egress_gate.service.errors import Malformed, NotAllowed
from egress_gate.service.gate import Gate
from egress_gate.service.reading import visible
from egress_gate.store.messages import MAX_MESSAGE, Audience, insert_message
from ledger.entry import Entry
from store.clock import stamp


def say(gate: Gate, person: Person, number: int, audience: Audience, body: str, at: datetime) -> None:
    """Add a message. Authors write only to the conversation; only reviewers write and read private notes.

    Raises NotFound, NotAllowed, or Malformed for an empty or oversized text. The ledger keeps its digest.
    """
    found = visible(gate, person, number, at)
    stewards = {name for people in found.stewards.values() for name in people}
    is_author = person.name == found.request.author
    is_reviewer = not is_author and "stewards" in person.groups and person.name in stewards
    if not (is_reviewer or (is_author and audience is Audience.AUTHOR)):
        raise NotAllowed(
            "You cannot write here.",
            why="The author and the data's stewards talk about a request; notes are between stewards.",
            do="Ask a steward of the data.",
        )
    text = body.strip()
    if not text or len(text) > MAX_MESSAGE or "\x00" in text:
        raise Malformed(
            "The message was not sent.",
            why=f"It is empty or longer than {MAX_MESSAGE} characters.",
            do="Write it again.",
        )
    row = found.request
    with gate.store.transaction(at) as t:
        insert_message(t, row.id, row.revision, person.name, audience, text, stamp(at))
        subject = {"request": row.name, "project": row.project}
        digest = hashlib.sha256(text.encode()).hexdigest()
        facts = {"revision": row.revision, "audience": audience.value, "sha256": digest}
        t.record(Entry("message.sent", person.name, subject, facts))
