"""A steward lends their vote on one dataset to another steward until a date, and takes it back."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Malformed, no_such
from egress_gate.service.gate import Gate
from egress_gate.store import catalogue
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp

LONGEST = timedelta(days=90)


def lend(gate: Gate, person: Person, dataset: str, delegate: str, until: datetime, at: datetime) -> int:
    """The delegation's number. Policy asks that the lender is a steward of the data; the delegate must be another person.

    Raises NotAllowed, or Malformed for a date that is past or too far away.
    """
    with gate.store.read() as c:
        stewards = catalogue.stewards(c, [dataset]).get(dataset, ())
    about = {"name": dataset, "stewards": list(stewards)}
    may(gate.engine, person, "grant", at, dataset=about).require(f"lend a vote on {dataset}")
    _require_sound(person.name, delegate, until, at)
    with gate.store.transaction(at) as t:
        made = t.execute(
            insert(s.delegation).values(
                dataset=dataset, steward=person.name, delegate=delegate, given_at=stamp(at), until_at=stamp(until)
            )
        )
        key = made.inserted_primary_key
        number = int(key[0]) if key is not None else 0
        facts = {"steward": person.name, "delegate": delegate, "until": stamp(until)}
        t.record(Entry("delegation.given", person.name, {"dataset": dataset, "delegation": str(number)}, facts))
        return number


def take_back(gate: Gate, person: Person, number: int, at: datetime) -> None:
    """End it now. Only its lender can; ending twice is ending once. Raises NotFound for anybody else's."""
    table = s.delegation
    query = select(table).where(table.c.id == number, table.c.steward == person.name)
    with gate.store.read() as c:
        row = c.execute(query).first()
    if row is None:
        raise no_such("delegation")
    if row.ended_at is not None:
        return
    with gate.store.transaction(at) as t:
        t.execute(update(table).where(table.c.id == number).values(ended_at=stamp(at)))
        subject = {"dataset": row.dataset, "delegation": str(number)}
        t.record(Entry("delegation.ended", person.name, subject, {"delegate": row.delegate}))


def _require_sound(lender: str, delegate: str, until: datetime, at: datetime) -> None:
    if not delegate.strip() or delegate == lender or len(delegate) > 200:
        raise Malformed(
            "The vote was not lent.", why="It can be lent to another person only.", do="Name another steward."
        )
    if not at < until <= at + LONGEST:
        raise Malformed(
            "The vote was not lent.",
            why=f"A delegation ends, at most {LONGEST.days} days from now.",
            do="Choose an end date in that time.",
        )
