"""The noise itself, from OpenDP: geometric (discrete Laplace) for counts, Laplace for sums, both safe against floating point."""

from __future__ import annotations

from functools import cache
from typing import Any


class OpenDpMechanism:
    """`disclosure.privacy.Mechanism`. Each draw is checked against OpenDP's own privacy map before it is made."""

    def count(self, value: int, epsilon: float, /) -> int:
        return int(_geometric(epsilon)(value))

    def sum(self, value: float, sensitivity: float, epsilon: float, /) -> float:
        return float(_laplace(sensitivity, epsilon)(float(value)))


@cache
def _dp() -> Any:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


@cache
def _geometric(epsilon: float) -> Any:
    dp = _dp()
    space = dp.atom_domain(T=int), dp.absolute_distance(T=int)
    return _checked(dp.m.make_geometric(*space, scale=1.0 / epsilon), 1, epsilon)


@cache
def _laplace(sensitivity: float, epsilon: float) -> Any:
    dp = _dp()
    space = dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float)
    return _checked(dp.m.make_laplace(*space, scale=sensitivity / epsilon), sensitivity, epsilon)


def _checked(measurement: Any, sensitivity: float, epsilon: float) -> Any:
    loss = float(measurement.map(sensitivity))
    if loss > epsilon * (1 + 1e-6):
        raise ValueError(f"the mechanism loses {loss}, more than {epsilon}")
    return measurement
