"""A request rehearsed from inside a sandbox: what stands against it as a refusal, before anything is stored of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from egress_gate.domain.item import Kind
from egress_gate.service.gate import Gate
from egress_gate.service.preflight import Preflight, Stop, preflight
from egress_gate.service.submit import Caller, Draft, require_member, require_own_uploads
from installation.fault import Fault


class WouldBeRefused(Fault):
    """What a machine can already tell will be refused; nothing was sent."""

    code = "would-be-refused"


def rehearsal(gate: Gate, who: Caller, draft: Draft, at: datetime) -> dict[str, Any]:
    """What would be protected in each output, without any figure. Raises WouldBeRefused, and whatever `submit` raises.

    Figures and files that came along are not compared with the data: whoever may ask again and again whether a guess is right would have
    the data from the answers.
    """
    require_member(gate, who, at)
    require_own_uploads(gate, who.sandbox.id, draft.items)
    judged = [replace(i, blob=None) if i.kind is not Kind.FILE else i for i in draft.items]
    seen = preflight(gate, who.sandbox, draft, at, judged=[i for i in judged if i.kind is not Kind.FILE])
    if not seen.ready:
        raise WouldBeRefused(
            "Nothing was sent: this would be refused.",
            why=" ".join(dict.fromkeys(map(_said, seen.stops))),
            do=" ".join(dict.fromkeys(s.do for s in seen.stops if s.do)),
        )
    return _view(seen)


def _said(stop: Stop) -> str:
    named = not stop.where or stop.what.startswith(f"{stop.where}:")
    return stop.what if named else f"{stop.where}: {stop.what}"


def _view(seen: Preflight) -> dict[str, Any]:
    outputs = [{"name": s.name, "findings": list(s.findings), "preview": s.preview} for s in seen.outputs]
    return {
        "outcome": seen.outcome.value if seen.outcome else None,
        "outputs": outputs,
        "reasons": [r.facts() for r in seen.reasons],
        "away": seen.away,
    }
