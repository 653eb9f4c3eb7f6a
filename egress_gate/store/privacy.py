"""What of the privacy budget is spent, and the answers that were given for it. Charged in the transaction that releases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from egress_gate.domain.protection import certified
from egress_gate.store.releases import PublishedItem
from egress_gate.store.requests import canonical
from store import schema as s
from store.database import Transaction


def spent(
    c: Connection | Transaction, project: str | None, versions: Iterable[str], until: str | None = None
) -> dict[str, float]:
    """Epsilon by dataset version, of one project or (None) of everybody, of what left until then. Revoked releases count: copies cannot be
    recalled."""
    charge = s.privacy_charge.c
    query = select(charge.version, func.sum(charge.epsilon).label("epsilon")).where(
        charge.version.in_(sorted(set(versions))), *_left(until)
    )
    if project is not None:
        query = query.where(charge.project == project)
    return {r.version: float(r.epsilon) for r in c.execute(query.group_by(charge.version))}


def _left(until: str | None) -> list[ColumnElement[bool]]:
    if until is None:
        return []
    return [s.privacy_charge.c.release.in_(select(s.release.c.id).where(s.release.c.released_at <= until))]


def answered(
    c: Connection | Transaction,
    versions: Iterable[str],
    canonical_sql: str,
    facts: Mapping[str, Any],
    until: str | None = None,
) -> str | None:
    """The digest of the assessment that answered this very question before, to whomever; None when nobody had asked it until then."""
    charge = s.privacy_charge.c
    query = (
        select(charge.release, charge.item, charge.answer, charge.version)
        .where(charge.canonical_sql == canonical_sql, charge.facts == canonical(dict(facts)), *_left(until))
        .order_by(charge.release, charge.item)
    )
    found: dict[tuple[int, str, str], set[str]] = {}
    for row in c.execute(query):
        found.setdefault((row.release, row.item, row.answer), set()).add(row.version)
    wanted = set(versions)
    return next((answer for (_, _, answer), of in found.items() if of == wanted), None)


def charge(t: Transaction, release: int, project: str, published: Sequence[PublishedItem]) -> list[dict[str, Any]]:
    """Write down what each table with noise costs, for each version that it reads; facts for the ledger.

    An answer that was given before costs nothing: it says nothing new.
    """
    made: list[dict[str, Any]] = []
    for one in published:
        facts = one.protection or {}
        if facts.get("method") != "noise":
            continue
        if one.answer is None:
            raise ValueError("a table with noise leaves with the assessment that it came from")
        if not _given_before(t, one.answer):
            made += [_charged(t, release, project, one, one.answer, version) for version in one.versions]
    return made


def _given_before(t: Transaction, answer: str) -> bool:
    query = select(s.privacy_charge.c.release).where(s.privacy_charge.c.answer == answer).limit(1)
    return t.execute(query).first() is not None


def _charged(
    t: Transaction, release: int, project: str, one: PublishedItem, answer: str, version: str
) -> dict[str, Any]:
    facts = dict(one.protection or {})
    t.execute(
        insert(s.privacy_charge).values(
            release=release,
            item=one.item,
            version=version,
            project=project,
            canonical_sql=one.canonical_sql,
            facts=canonical(facts),
            epsilon=float(facts["epsilon"]),
            answer=answer,
        )
    )
    return {"version": version, "protection": certified(facts), "evidence": answer}
