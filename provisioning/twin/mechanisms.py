"""The four draws that a twin is made of, each OpenDP's, each checked against OpenDP's own privacy map before it is made.

``sensitivity``: the most rows that one privacy unit adds to what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class OpenDpDraws:
    """Randomness from OpenDP's own source; nothing of it is kept."""

    def counts(self, values: Ints, sensitivity: int, epsilon: float) -> Ints:
        """Counts with two-sided geometric noise, one for each cell; epsilon-private for the vector as a whole."""
        dp = _dp()
        space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
        made = _within(dp.m.make_geometric(*space, scale=sensitivity / epsilon), sensitivity, epsilon)
        return np.asarray(made([int(v) for v in values.ravel()]), dtype=np.int64).reshape(values.shape)

    def keys(self, found: Mapping[str, int], sensitivity: int, epsilon: float, delta: float) -> dict[str, int]:
        """Which values there are, with noisy counts: only those common enough that no one unit makes the difference."""
        dp = _dp()
        space = (
            dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T=int)),
            dp.l01inf_distance(dp.absolute_distance(T=int)),
        )
        scale = sensitivity / epsilon

        def measured(threshold: int) -> Any:
            return dp.m.make_laplace_threshold(*space, scale=scale, threshold=threshold)

        most = (sensitivity, sensitivity, sensitivity)
        threshold = 2 * sensitivity + 1
        while measured(threshold).map(most)[1] > delta:
            threshold = int(threshold * 1.1) + 1
        made = measured(threshold)
        if made.map(most)[0] > epsilon * (1 + 1e-6):
            raise ValueError("the mechanism loses more than was given")
        return {str(key): int(count) for key, count in made(dict(found)).items()} if found else {}

    def best(self, scores: Floats, sensitivity: float, epsilon: float) -> int:
        """The index of a score that is the highest or close to it (permute-and-flip)."""
        dp = _dp()
        space = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.linf_distance(T=float)
        made = dp.m.make_noisy_max(*space, dp.max_divergence(), scale=2.0 * sensitivity / epsilon)
        return int(_within(made, float(sensitivity), epsilon)([float(s) for s in scores]))


@cache
def _dp() -> Any:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


def _within(measurement: Any, sensitivity: float, epsilon: float) -> Any:
    loss = float(measurement.map(sensitivity))
    if loss > epsilon * (1 + 1e-6):
        raise ValueError(f"the mechanism loses {loss}, more than {epsilon}")
    return measurement
