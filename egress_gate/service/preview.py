"""What would be suppressed, before anything is submitted: marks and rules, never a figure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from egress_gate.domain.item import Item, Kind, checked_item
from egress_gate.domain.protection import asked_protection, chosen_protection
from egress_gate.policy.facts import parameters_input
from egress_gate.render.preview import author_preview
from egress_gate.service.gate import Gate
from egress_gate.service.ports import Question, sealed
from egress_gate.service.previewed import record_preview
from egress_gate.service.submit import Caller, sources_of
from egress_gate.store import releases, requests
from policy_engine import PolicyUnavailable


def preview(
    gate: Gate, who: Caller, sql: str, at: datetime, declared: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Judge `sql` as a submit would, with protection on, and say what would be hidden. Only that it was asked is recorded.

    Earlier releases are part of the judgement, as they will be at the check. `declared`: as of an item, how it is to be protected.
    """
    item = checked_item(Item("preview", Kind.TABLE, sql, None, dict(declared or {})))
    asked_protection(item.declared)
    sources = sources_of(gate, who.sandbox.versions)
    canonical, _ = gate.recomputer.parse(sql, sources)
    answer = gate.engine.query("release/parameters", parameters_input(sources, [item]))
    if not isinstance(answer.result, dict):
        raise PolicyUnavailable("No parameters.", why="The policy gave none.", do="Try again in a minute.")
    with gate.store.read() as c:
        earlier = releases.earlier(c, who.sandbox.versions)
    chosen = chosen_protection(item.declared, answer.result)
    question = Question("preview", sql, sources, dict(answer.result), earlier, protect=True, protection=chosen)
    with gate.vault.opened(sealed(sources)):
        made = gate.recomputer.assess(question)
    content = hashlib.sha256(requests.canonical({"sql": canonical, "declared": item.declared}).encode()).hexdigest()
    record_preview(gate, who.sandbox, content, 1, "shown", at)
    return {"canonical_sql": canonical, **author_preview(made)}
