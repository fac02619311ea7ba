"""How numbers are spread, as edges and counts."""

from __future__ import annotations

import itertools
import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from runstream.media.arrays import Array, as_array, is_array
from runstream.media.blob import ValueRefused

MAX_BINS = 512
DEFAULT_BINS = 64
_CHUNK = 1 << 20


class Histogram:
    """Counts of values between edges: of a sequence, array or tensor on any device, or from given `edges` and `counts`.

    `bins`: 1 to 512 of one width between the least and the greatest finite value. NaN and infinite values are counted
    apart. `edges` are finite and rising, one more than `counts`; a value belongs to the bin whose left edge it reaches,
    and one on the last edge to the last bin. It is computed at once: the values may change afterwards.
    """

    rich_kind = "histogram"

    def __init__(
        self,
        values: Any = None,
        *,
        bins: int = DEFAULT_BINS,
        edges: Iterable[Any] | None = None,
        counts: Iterable[Any] | None = None,
        np_histogram: tuple[Any, Any] | None = None,
    ) -> None:
        self._edges: list[float] = []
        self._counts: list[float] = []
        self.n_nan = 0
        self.n_inf = 0
        self.refused = ""
        """Why it cannot be logged; empty when it can."""
        try:
            if np_histogram is not None:
                counts, edges = np_histogram
            if edges is not None or counts is not None:
                self._take(edges, counts)
            else:
                self._compute(values, _bins(bins))
        except Exception as error:  # noqa: BLE001 - any object may come; said when it is logged
            self.refused = (str(error) or type(error).__name__)[:500]

    @property
    def edges(self) -> list[float]:
        """Raises ValueRefused when there are none: see `refused`."""
        self._check()
        return self._edges

    @property
    def counts(self) -> list[float]:
        """Raises ValueRefused when there are none: see `refused`."""
        self._check()
        return self._counts

    def merge(self, *others: Histogram) -> Histogram:
        """One of all values. Exact where the edges are the same; else each bin's count is spread evenly over it.

        One that was refused makes the answer refused.
        """
        given = [self, *others]
        made = Histogram(edges=(0, 1), counts=(0,))
        made.refused = next((one.refused for one in given if one.refused), "")
        if made.refused:
            return made
        filled = [one for one in given if any(one._counts)] or given[:1]
        edges = filled[0]._edges
        if any(one._edges != edges for one in filled):
            low, high = min(one._edges[0] for one in filled), max(one._edges[-1] for one in filled)
            edges = edges_between(low, high, max(len(one._counts) for one in filled))
        made._edges = list(edges)
        made._counts = [math.fsum(column) for column in zip(*[_spread(one, edges) for one in filled], strict=True)]
        made.n_nan = sum(one.n_nan for one in given)
        made.n_inf = sum(one.n_inf for one in given)
        return made

    def __repr__(self) -> str:
        if self.refused:
            return f"<Histogram, refused: {self.refused}>"
        return f"<Histogram of {sum(self._counts):g} values in {len(self._counts)} bins>"

    def event(self, name: str, step: int) -> dict[str, Any]:
        """The body of its event. Raises ValueRefused."""
        self._check()
        return {
            "type": "HistogramLogged",
            "name": name,
            "step": step,
            "edges": self._edges,
            "counts": self._counts,
            "n_nan": self.n_nan,
            "n_inf": self.n_inf,
        }

    def _check(self) -> None:
        if self.refused:
            raise ValueRefused(self.refused)

    def _take(self, edges: Any, counts: Any) -> None:
        if edges is None or counts is None:
            raise ValueRefused("edges= and counts= go together")
        self._edges = [float(edge) for edge in edges]
        self._counts = [float(count) for count in counts]
        if len(self._edges) != len(self._counts) + 1:
            raise ValueRefused(f"{len(self._edges)} edges and {len(self._counts)} counts; there is one edge more")
        if not 1 <= len(self._counts) <= MAX_BINS:
            raise ValueRefused(f"{len(self._counts)} bins; 1 to {MAX_BINS} can be kept. Add up neighbours")
        if not all(map(math.isfinite, self._edges)) or not _rise(self._edges):
            raise ValueRefused("its edges are not finite and rising")
        if not all(math.isfinite(count) and count >= 0 for count in self._counts):
            raise ValueRefused("its counts are not finite and 0 or more")

    def _compute(self, values: Any, bins: int) -> None:
        if _elsewhere(values):
            try:
                self._of_tensor(values, bins)
            except RuntimeError:  # such as histc under torch.use_deterministic_algorithms
                self.n_nan = self.n_inf = 0
                self._of_array(as_array(values), bins)
            return
        if not is_array(values):
            if isinstance(values, str | bytes) or not isinstance(values, Iterable | int | float):
                raise ValueRefused(f"a histogram of {type(values).__name__}; a sequence or an array of numbers has one")
            values = [values] if not isinstance(values, Iterable) else values
            values = values if isinstance(values, Sequence) else list(values)
            if not len(values):
                raise ValueRefused("a histogram of nothing: 0 values")
            if "numpy" not in sys.modules:
                self._by_hand([float(value) for value in values], bins)
                return
        self._of_array(as_array(values), bins)

    def _of_array(self, array: Array, bins: int) -> None:
        if 0 in array.shape:
            raise ValueRefused("a histogram of nothing: 0 values")
        if array.by_numpy:
            self._by_numpy(array.numbers.reshape(-1), bins)
        else:
            self._by_hand([float(number) for number in array.numbers], bins)

    def _by_hand(self, values: list[float], bins: int) -> None:
        finite = [value for value in values if math.isfinite(value)]
        self.n_nan = sum(map(math.isnan, values))
        self.n_inf = len(values) - len(finite) - self.n_nan
        self._edges = edges_between(min(finite), max(finite), bins) if finite else [0.0, 1.0]
        self._counts = [0.0] * (len(self._edges) - 1)
        last = len(self._counts) - 1
        for value in finite:
            self._counts[min(bisect_right(self._edges, value) - 1, last)] += 1

    def _by_numpy(self, flat: Any, bins: int) -> None:
        numpy = sys.modules["numpy"]
        chunks = range(0, flat.size, _CHUNK)
        low, high = math.inf, -math.inf
        with numpy.errstate(all="ignore"):
            for start in chunks:
                chunk = _floats(flat[start : start + _CHUNK])
                least, most = chunk.min().item(), chunk.max().item()
                if not (math.isfinite(least) and math.isfinite(most)):
                    nan = int(numpy.isnan(chunk).sum())
                    finite = chunk[numpy.isfinite(chunk)]
                    self.n_nan += nan
                    self.n_inf += chunk.size - finite.size - nan
                    if not finite.size:
                        continue
                    least, most = finite.min().item(), finite.max().item()
                low, high = min(low, least), max(high, most)
            if low > high:
                self._edges, self._counts = [0.0, 1.0], [0.0]
                return
            self._edges = edges_between(low, high, bins)
            # Where the difference of the two ends is no double, halves are counted.
            half = 1.0 if math.isfinite(high - low) else 0.5
            if half == 1 and len(self._edges) == bins + 1:
                total = numpy.zeros(bins)
                for start in chunks:  # several times as fast as with edges given one by one
                    found, edges = numpy.histogram(
                        _floats(flat[start : start + _CHUNK]), bins, (self._edges[0], self._edges[-1])
                    )
                    total += found
                if _rise(edges.tolist()):
                    self._edges, self._counts = edges.tolist(), total.tolist()
                    return
            edges = numpy.array(self._edges) * half
            total = numpy.zeros(len(edges) - 1)
            for start in chunks:
                chunk = _floats(flat[start : start + _CHUNK]).astype("f8")
                total += numpy.histogram(chunk if half == 1 else chunk * half, edges)[0]
        self._counts = total.tolist()

    def _of_tensor(self, values: Any, bins: int) -> None:
        """Where the tensor is: only the counts leave the device."""
        flat = values.detach().reshape(-1)
        flat = flat if "float64" in str(flat.dtype) else flat.float()
        size = flat.numel()
        if not size:
            raise ValueRefused("a histogram of nothing: 0 values")
        finite = flat[flat.isfinite()]
        self.n_nan = int(flat.isnan().sum().item())
        self.n_inf = size - finite.numel() - self.n_nan
        if not finite.numel():
            self._edges, self._counts = [0.0, 1.0], [0.0]
            return
        edges = edges_between(finite.min().item(), finite.max().item(), bins)
        counts = finite.histc(len(edges) - 1, min=edges[0], max=edges[-1]).tolist()
        self._edges, self._counts = edges, [float(count) for count in counts]


def edges_between(low: float, high: float, bins: int) -> list[float]:
    """Rising finite edges of `bins` bins of one width from `low` to `high`; fewer where doubles lie less close.

    Around a single value, as numpy does it, a width of 1.
    """
    low, high = float(low), float(high)
    if low == high:
        top = sys.float_info.max
        low, high = (
            max(-top, min(low - 0.5, math.nextafter(low, -math.inf))),
            max(high + 0.5, math.nextafter(high, math.inf)),
        )
        high = min(high, top)
    inner = (low * (1 - place / bins) + high * (place / bins) for place in range(1, bins))
    return [low, *sorted({edge for edge in inner if low < edge < high}), high]


def _bins(bins: Any) -> int:
    number = int(bins)
    if not 1 <= number <= MAX_BINS:
        raise ValueRefused(f"bins={bins}; 1 to {MAX_BINS} can be kept")
    return number


def _floats(chunk: Any) -> Any:
    """As single or double precision; integers and booleans as doubles."""
    if chunk.dtype.kind == "f":
        return chunk if chunk.dtype.itemsize in (4, 8) else chunk.astype("f4" if chunk.dtype.itemsize == 2 else "f8")
    return chunk.astype("f8")


def _rise(edges: Sequence[float]) -> bool:
    return all(left < right for left, right in itertools.pairwise(edges))


def _elsewhere(values: Any) -> bool:
    """Whether it is a tensor in the memory of an accelerator."""
    return callable(getattr(values, "histc", None)) and not str(getattr(values, "device", "cpu")).startswith("cpu")


def _spread(one: Histogram, edges: Sequence[float]) -> list[float]:
    """Its counts over other edges that reach at least as far."""
    if one._edges == list(edges):
        return one._counts
    out = [0.0] * (len(edges) - 1)
    at = 0
    for left, right, count in zip(one._edges, one._edges[1:], one._counts, strict=False):
        if not count:
            continue
        while at + 1 < len(out) and edges[at + 1] <= left:
            at += 1
        place, width = at, right * 0.5 - left * 0.5
        if not width:  # narrower than a double can say
            out[min(at, len(out) - 1)] += count
            continue
        while place < len(out) and edges[place] < right:
            overlap = min(right, edges[place + 1]) * 0.5 - max(left, edges[place]) * 0.5
            out[place] += count * (max(0.0, overlap) / width)  # first the share: doubles have an end
            place += 1
    return out
