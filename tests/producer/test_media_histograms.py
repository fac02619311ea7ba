"""Histogram: the counts are those of the values, whatever the values are."""

import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.media_values import Nested
from runstream import Histogram
from runstream.media.blob import ValueRefused
from runstream.media.histograms import MAX_BINS, edges_between

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def check(histogram: Histogram, values: list[float], bins: int) -> None:
    finite = [value for value in values if math.isfinite(value)]
    edges, counts = histogram.edges, histogram.counts
    assert len(edges) == len(counts) + 1
    assert len(counts) <= bins
    assert all(math.isfinite(edge) for edge in edges)
    assert all(left < right for left, right in itertools.pairwise(edges))
    assert sum(counts) == len(finite)
    assert histogram.n_nan == sum(math.isnan(value) for value in values)
    assert histogram.n_inf == len(values) - len(finite) - histogram.n_nan
    if finite:
        assert edges[0] <= min(finite)
        assert edges[-1] >= max(finite)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.integers(1, MAX_BINS))
def test_every_value_is_counted_by_numpy_and_by_hand(values: list[float], bins: int) -> None:
    check(Histogram(np.array(values), bins=bins), values, bins)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        check(Histogram(values, bins=bins), values, bins)


@given(FLOATS.filter(math.isfinite), FLOATS.filter(math.isfinite), st.integers(1, MAX_BINS))
def test_edges_are_finite_and_rise(one: float, other: float, bins: int) -> None:
    edges = edges_between(min(one, other), max(one, other), bins)
    assert all(math.isfinite(edge) for edge in edges)
    assert all(left < right for left, right in itertools.pairwise(edges))
    assert 2 <= len(edges) <= bins + 1
    assert edges[0] <= min(one, other) <= max(one, other) <= edges[-1]


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i8", "u1", "u8", "bool"])
def test_numbers_of_every_type_are_counted_as_numpy_counts_them(kind: str) -> None:
    values = (np.random.default_rng(5).normal(size=10_000) * 20 + 60).clip(0, 127).astype(kind)
    counts, edges = np.histogram(values.astype("f8"), 16)
    found = Histogram(values, bins=16)
    assert np.allclose(found.edges, edges, rtol=1e-3)
    assert sum(found.counts) == 10_000
    if kind not in ("f2", "f4"):
        assert found.counts == counts.tolist()


def test_large_arrays_are_counted_in_pieces() -> None:
    values = np.random.default_rng(5).normal(size=(3, 1 << 20)).astype("f4")
    values[0, 0], values[2, -1] = np.nan, np.inf
    found = Histogram(values)
    assert sum(found.counts) == values.size - 2
    assert (found.n_nan, found.n_inf) == (1, 1)


def test_only_nan_and_infinities_are_a_histogram_without_counts() -> None:
    for values in ([math.nan, math.inf, -math.inf], np.array([math.nan, math.inf, -math.inf])):
        found = Histogram(values)
        assert (sum(found.counts), found.n_nan, found.n_inf) == (0, 1, 2)


@pytest.mark.parametrize(
    "values", [3, 2.5, (1, 2), range(5), {1, 2}, (n for n in range(3)), np.float32(1), [[1, 2], [3, 4]]]
)
def test_many_kinds_of_values_have_one(values: Any) -> None:
    assert sum(Histogram(values).counts) >= 1


def test_a_tensor_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy")
    assert sum(Histogram(Nested([[1.0, 2.0], [3.0, math.nan]])).counts) == 3


@pytest.mark.parametrize(
    "values", [[], np.zeros(0), (), None, "abc", b"abc", object(), ["a"], {"a": 1}, [[1], [1, 2]], 1j]
)
def test_what_has_none_is_refused_when_it_is_asked(values: Any) -> None:
    found = Histogram(values)
    assert found.refused
    with pytest.raises(ValueRefused):
        found.event("x", 0)


@pytest.mark.parametrize("bins", [0, -1, 513, None, "many"])
def test_bins_outside_the_limits_are_refused(bins: Any) -> None:
    assert Histogram([1, 2], bins=bins).refused


def test_given_edges_and_counts_are_kept() -> None:
    found = Histogram(edges=[0, 1, 4], counts=[2.5, 3])
    assert (found.edges, found.counts) == ([0, 1, 4], [2.5, 3])
    values = np.arange(10)
    assert Histogram(np_histogram=np.histogram(values, 5)).counts == [2] * 5
    assert Histogram(edges=range(513), counts=[1] * 512).refused == ""


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([0, 1], None),
        (None, [1]),
        ([0, 1], [1, 2]),
        ([0], []),
        ([0, 0], [1]),
        ([1, 0], [1]),
        ([0, math.inf], [1]),
        ([0, math.nan], [1]),
        ([0, 1], [-1]),
        ([0, 1], [math.nan]),
        (range(514), [1] * 513),
        (["a", "b"], [1]),
    ],
)
def test_edges_and_counts_that_do_not_fit_are_refused(edges: Any, counts: Any) -> None:
    assert Histogram(edges=edges, counts=counts).refused


# merge


def test_the_same_edges_add_up_exactly() -> None:
    one, other = Histogram(edges=[0, 1, 2], counts=[1, 2]), Histogram(edges=[0, 1, 2], counts=[10, 20])
    assert one.merge(other, other).counts == [21, 42]


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=20), min_size=1, max_size=5))
def test_a_merged_histogram_has_all_values(parts: list[list[float]]) -> None:
    histograms = [Histogram(part, bins=8) for part in parts]
    merged = histograms[0].merge(*histograms[1:])
    finite = [value for part in parts for value in part if math.isfinite(value)]
    assert math.isclose(sum(merged.counts), len(finite), rel_tol=1e-9)
    assert merged.n_nan == sum(one.n_nan for one in histograms)
    assert merged.n_inf == sum(one.n_inf for one in histograms)
    assert len(merged.counts) <= 8
    if finite:
        assert merged.edges[0] <= min(finite)
        assert merged.edges[-1] >= max(finite)


def test_merging_spreads_a_bin_over_those_it_overlaps() -> None:
    one, other = Histogram(edges=[0, 4], counts=[8]), Histogram(edges=[0, 1, 2, 3, 4], counts=[0, 0, 0, 1])
    assert one.merge(other).counts == [2, 2, 2, 3]


def test_a_refused_one_makes_the_merged_one_refused() -> None:
    assert Histogram([1.0]).merge(Histogram([])).refused


class OnDevice:
    """What of a torch tensor the counting on an accelerator uses, done by numpy: no torch can be installed here."""

    device = "cuda:0"

    def __init__(self, array: Any, *, deterministic: bool = False) -> None:
        self.array = np.asarray(array)
        self.dtype = f"torch.{self.array.dtype}"
        self.deterministic = deterministic
        self.asked: list[str] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def like(self, array: Any) -> "OnDevice":
        return OnDevice(array, deterministic=self.deterministic)

    def __getitem__(self, mask: "OnDevice") -> "OnDevice":
        return self.like(self.array[mask.array])

    def detach(self) -> "OnDevice":
        return self

    def cpu(self) -> "OnDevice":
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array

    def reshape(self, size: int) -> "OnDevice":
        return self.like(self.array.reshape(size))

    def float(self) -> "OnDevice":
        return self.like(self.array.astype("f4"))

    def numel(self) -> int:
        return int(self.array.size)

    def isfinite(self) -> "OnDevice":
        return self.like(np.isfinite(self.array))

    def isnan(self) -> "OnDevice":
        return self.like(np.isnan(self.array))

    def sum(self) -> Any:
        return self.array.sum()

    def min(self) -> Any:
        return self.array.min()

    def max(self) -> Any:
        return self.array.max()

    def histc(self, bins: int, min: float, max: float) -> Any:
        if self.deterministic:
            raise RuntimeError("_histc_cuda does not have a deterministic implementation")
        return np.histogram(self.array, bins, (min, max))[0]


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_tensor_on_a_device_is_counted_there_where_that_can_be_done(deterministic: bool) -> None:
    values = [1.0, 2.0, math.nan, math.inf, 2.0, 8.0]
    found = Histogram(OnDevice(values, deterministic=deterministic), bins=7)
    check(found, values, 7)
    assert found.counts[0] == 1
    assert found.counts[-1] == 1
