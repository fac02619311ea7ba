from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runstream_ui.smoothing import debiased_ema

finite = st.floats(-1e6, 1e6)


@given(hnp.arrays(np.float64, st.integers(0, 60), elements=finite), st.floats(0, 0.99))
def test_a_smoothed_curve_stays_within_what_it_smooths(values: np.ndarray, weight: float) -> None:
    smooth = debiased_ema(values, weight)
    assert smooth.shape == values.shape
    if values.size:
        assert smooth.min() >= values.min() - 1e-6
        assert smooth.max() <= values.max() + 1e-6


@given(finite, st.integers(1, 50), st.floats(0, 0.99))
def test_a_constant_stays_what_it_is_from_the_first_point_on(value: float, count: int, weight: float) -> None:
    np.testing.assert_allclose(debiased_ema(np.full(count, value), weight), value, rtol=1e-9, atol=1e-9)


def test_nan_is_stepped_over() -> None:
    smooth = debiased_ema(np.array([1.0, np.nan, 1.0]), 0.9)
    assert np.isnan(smooth[1])
    np.testing.assert_allclose(smooth[[0, 2]], 1.0)
