"""How a derived table is kept from telling about single people: cells left out, figures rounded, or noise added.

Strictness goes up in that order. Policy names the least for each classification; an analyst may ask for more, never for less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from egress_gate.domain.item import ItemRefused


class Method(StrEnum):
    SUPPRESS = "suppress"
    ROUND = "round"
    NOISE = "noise"


STRICTNESS = (Method.SUPPRESS, Method.ROUND, Method.NOISE)
LARGEST_BASE = 1000
DIGITS = 2  # of a number that an analyst chooses: it leaves with the certificate, so it must not carry a figure out
MOST_BOUNDS = 20


@dataclass(frozen=True)
class Protection:
    """`base`: what counts are rounded to. `epsilon`, `delta`: the privacy loss of one release with noise. `bounds`: by column of the
    table, between which values a person's contribution to a sum is clipped before noise is added."""

    method: Method
    base: int | None = None
    epsilon: float | None = None
    delta: float | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """For policy, the certificate and the desk."""
        if self.method is Method.ROUND:
            return {"method": "round", "base": self.base}
        if self.method is Method.NOISE:
            bounds = {name: list(ends) for name, ends in sorted(self.bounds.items())}
            return {"method": "noise", "epsilon": self.epsilon, "delta": self.delta, "bounds": bounds}
        return {"method": "suppress"}


SUPPRESS = Protection(Method.SUPPRESS)


def asked_protection(declared: Mapping[str, Any]) -> Protection | None:
    """What an item asks for, None when it asks for nothing. Raises ItemRefused for what cannot be understood."""
    raw = declared.get("protection")
    if raw is None:
        return None
    try:
        unknown = set(raw) - {"method", "base", "epsilon", "bounds"}
        made = Protection(
            Method(raw["method"]),
            None if raw.get("base") is None else _whole(raw["base"]),
            None if raw.get("epsilon") is None else _positive(raw["epsilon"]),
            None,
            {str(name): _ends(ends) for name, ends in (raw.get("bounds") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        raise _refused("it is not of a known form") from broken
    if unknown:
        raise _refused(f"it has an unknown part, {sorted(unknown)[0]}")
    if len(made.bounds) > MOST_BOUNDS:
        raise _refused(f"it bounds more than {MOST_BOUNDS} columns")
    if made.base is not None and made.method is not Method.ROUND:
        raise _refused("a base is for rounding")
    if (made.epsilon is not None or made.bounds) and made.method is not Method.NOISE:
        raise _refused("epsilon and bounds are for noise")
    return made


def chosen_protection(declared: Mapping[str, Any], parameters: Mapping[str, Any]) -> Protection:
    """The stricter of what is asked and what policy's parameters want. Raises ItemRefused; policy without numbers for a method that
    is asked for refuses it."""
    asked = asked_protection(declared) or SUPPRESS
    least = parameters.get("protection") or {}
    try:
        wanted = Method(least.get("method", "suppress"))
        method = max(asked.method, wanted, key=STRICTNESS.index)
        if method is Method.ROUND:
            return Protection(method, max(asked.base or 0, int(least["rounding_base"])))
        if method is Method.NOISE:
            epsilon = min(asked.epsilon or float("inf"), float(least["epsilon"]))
            return Protection(method, None, epsilon, float(least["delta_per_million"]) / 1e6, asked.bounds)
    except (KeyError, TypeError, ValueError) as broken:
        raise _refused("the policy has no numbers for it") from broken
    return SUPPRESS


def certified(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`Protection.facts` for what is signed, which holds no fractions: they are written as text."""
    return {name: _text(value) for name, value in facts.items()}


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return {name: _text(inner) for name, inner in value.items()}
    return [_text(inner) for inner in value] if isinstance(value, list | tuple) else value


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 2 <= raw <= LARGEST_BASE:
        raise ValueError(raw)
    return raw


def _positive(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= 100:
        raise ValueError(raw)
    return _plain(float(raw))


def _plain(number: float) -> float:
    """Raises ValueError for a number of more than a few digits."""
    if float(f"{number:.{DIGITS}g}") != number:
        raise ValueError(number)
    return number


def _ends(raw: Any) -> tuple[float, float]:
    low, high = raw
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int | float) or not abs(end) <= 1e15:
            raise ValueError(raw)
    if not low < high:
        raise ValueError(raw)
    return _plain(float(low)), _plain(float(high))


def _refused(why: str) -> ItemRefused:
    return ItemRefused(
        "The protection that was asked for cannot be given.",
        why=f"What was written for it was not understood or not allowed: {why}.",
        do='Write {"method": "round"} or {"method": "noise", "bounds": {"column": [low, high]}}, with numbers of two digits; or nothing.',
    )
