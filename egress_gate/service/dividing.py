"""A request that is approved in part: what every reviewer approved leaves, what one of them did not goes its own way.

What leaves is a part of what was judged together, so that it tells nobody more than the whole would have: every suppression, rounding
and audit holds for the whole, and whoever sees less can work out less. The rest is judged anew, with this release among the earlier
ones, when its author sends it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from egress_gate.domain.request import State
from egress_gate.domain.review import Review, ReviewVerdict
from egress_gate.store import requests
from egress_gate.store.requests import HeldOutput, ItemSaid, RequestRow, ReviewRow
from ledger.entry import Entry
from store.clock import stamp
from store.database import Transaction

_WEIGHT = {ReviewVerdict.APPROVE: 0, ReviewVerdict.RETURN: 1, ReviewVerdict.REJECT: 2}
_STATE = {ReviewVerdict.RETURN: State.RETURNED, ReviewVerdict.REJECT: State.REJECTED}


def objections(opinions: Iterable[Mapping[str, ReviewVerdict]]) -> dict[str, ReviewVerdict]:
    """Output → the gravest verdict that any reviewer gave it, where that is no approval."""
    found: dict[str, ReviewVerdict] = {}
    for opinion in opinions:
        for item, verdict in opinion.items():
            if _WEIGHT[verdict] > _WEIGHT[found.get(item, ReviewVerdict.APPROVE)]:
                found[item] = verdict
    return found


def said_of_items(c: Connection | Transaction, given: Iterable[ReviewRow]) -> list[dict[str, ReviewVerdict]]:
    """What each review says of single outputs."""
    said = requests.item_verdicts(c, [r.id for r in given])
    return [{item: ReviewVerdict(each.verdict) for item, each in about.items()} for about in said.values()]


def hold_back(
    t: Transaction, row: RequestRow, held: Mapping[str, ReviewVerdict], given: tuple[ReviewRow, ...], at: datetime
) -> None:
    """Note which outputs do not leave with `row`, and give each group that shares a verdict a request of its own.

    The new requests carry the questions and reasons that were given, so that their author finds them where they go on.
    """
    now, said = stamp(at), requests.item_verdicts(t, [r.id for r in given])
    for verdict, state in _STATE.items():
        names = {item for item, found in held.items() if found is verdict}
        wanted = [i for i in requests.items(t, row.id, row.revision) if i.name in names]
        if not wanted:
            continue
        rest = replace(
            row, id=0, state=state, revision=1, created_at=now, updated_at=now, lease_until=None, trouble=None
        )
        rest = replace(rest, id=requests.insert_request(t, rest, None))
        requests.insert_words(t, rest)
        requests.insert_items(t, rest.id, 1, wanted)
        _carry_reviews(t, rest, names, given, said)
        requests.insert_held(t, row, [HeldOutput(i.name, verdict, rest.name) for i in wanted])
        subject = {"request": rest.name, "project": rest.project}
        facts = {"revision": row.revision, "outputs": len(wanted), "into": rest.name}
        t.record(Entry("request.divided", "gate", {"request": row.name, "project": row.project}, facts))
        t.record(Entry(f"request.{state.value}", "gate", subject, {"revision": 1, "from": row.name}))


def _carry_reviews(
    t: Transaction,
    rest: RequestRow,
    names: set[str],
    given: tuple[ReviewRow, ...],
    said: Mapping[int, Mapping[str, ItemSaid]],
) -> None:
    for each in given:
        about = {item: one for item, one in said.get(each.id, {}).items() if item in names}
        against = [ReviewVerdict(one.verdict) for one in about.values() if one.verdict != ReviewVerdict.APPROVE]
        if not against:
            continue  # who approved everything has no say on what others held back
        verdict = max(against, key=_WEIGHT.__getitem__)
        made = Review(each.review.reviewer, verdict, each.review.reason)
        number = requests.insert_review(t, rest.id, 1, made, each.reviewed_at)
        verdicts = {item: one.verdict for item, one in about.items()}
        requests.insert_item_verdicts(t, number, verdicts, {item: one.reason for item, one in about.items()})
