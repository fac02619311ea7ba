"""Curves of a group of runs as one: their mean, and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runstream_storage.queries.student_t import quantile
from runstream_ui.charts import Curve, Doubles
from runstream_ui.smoothing import debiased_ema

_PLACES = 200


@dataclass(frozen=True)
class RunGroup:
    """Runs that are drawn as one; names of groups in one chart differ."""

    name: str
    colour: str
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class Band:
    """The mean of `runs` curves of the group `key` over x, and its 95 % confidence interval from `low` to `high`.

    Arrays of one length. Where a single run has points, `low` and `high` are its value; NaN where none has.
    """

    key: str
    runs: int
    x: Doubles
    mean: Doubles
    low: Doubles
    high: Doubles


def mean_band(key: str, curves: Sequence[Curve], smoothing: float = 0.0) -> Band:
    """At each of 200 places, the mean of the curves that reach there; between its points a curve is a straight line,
    through the middles of its stretches, smoothed by itself first. Values that are not finite are passed over."""
    drawn = [part for curve in curves if (part := _middles(curve, smoothing))[0].size]
    if not drawn:
        nothing = np.empty(0)
        return Band(key, 0, nothing, nothing, nothing, nothing)
    first, last = min(x.min() for x, _ in drawn), max(x.max() for x, _ in drawn)
    places = np.unique(np.concatenate([x for x, _ in drawn]))
    if places.size > _PLACES:
        places = np.linspace(first, last, _PLACES)
    values = np.array([np.interp(places, x, y, left=np.nan, right=np.nan) for x, y in drawn])
    counts = np.isfinite(values).sum(axis=0)
    some = np.maximum(counts, 1)
    mean = np.where(counts > 0, np.nansum(values, axis=0) / some, np.nan)
    variance = np.nansum((values - mean) ** 2, axis=0) / np.maximum(counts - 1, 1)
    quantiles = np.array([0.0, *(quantile(degrees) for degrees in range(1, len(drawn)))])
    half = quantiles[np.maximum(counts - 1, 0)] * np.sqrt(variance / some)
    return Band(key, len(drawn), places, mean, mean - half, mean + half)


def _middles(curve: Curve, smoothing: float) -> tuple[Doubles, Doubles]:
    """(x, y) of a curve where both are finite."""
    y = curve.low / 2 + curve.high / 2
    if smoothing > 0:
        y = debiased_ema(y, smoothing)
    fine = np.isfinite(y) & np.isfinite(curve.x)
    return curve.x[fine], y[fine]
