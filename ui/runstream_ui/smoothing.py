"""Exponential moving average without the pull towards zero at the start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def debiased_ema(values: Doubles, weight: float) -> Doubles:
    """Smooth `values` (any length); NaN stays NaN and is stepped over. `weight` in [0, 1): 0 changes nothing.

    `s_i = (1 - w) * sum(w^k * v_(i-k)) / (1 - w^(i+1))`, the bias correction of Adam (Kingma and Ba, 2015, section 3):
    the first smoothed value is the first value.
    """
    if weight <= 0 or values.size == 0:
        return values
    smoothed = np.empty_like(values)
    total, norm = 0.0, 0.0
    for index, value in enumerate(values.tolist()):
        if np.isfinite(value):
            total = weight * total + (1 - weight) * value
            norm = weight * norm + (1 - weight)
            smoothed[index] = total / norm
        else:
            smoothed[index] = np.nan
    return smoothed
