from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_ui import formats

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (3.0, "3"),
        (-12.0, "−12"),
        (0.123456, "0.1235"),
        (0.000123456, "0.0001235"),
        (1.5e-7, "1.500e-7"),
        (123456.789, "123457"),
        (1234567.0, "1.235e6"),
        (99.999, "100.0"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, ""),
    ],
)
def test_a_number_is_shown_with_four_significant_digits(value: float | None, shown: str) -> None:
    assert formats.number(value) == shown


@given(st.floats(-1e300, 1e300))
def test_a_shown_number_is_within_half_a_unit_of_its_fourth_digit(value: float) -> None:
    shown = float(formats.number(value).replace(formats.MINUS, "-"))
    assert math.isclose(shown, value, rel_tol=6e-4, abs_tol=1e-320)


@given(st.floats(allow_nan=False))
def test_the_exact_text_reads_back_as_the_same_number(value: float) -> None:
    assert float(formats.exact(value)) == value


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "12.3 ms"),
        (4.52, "4.5s"),
        (45, "45s"),
        (200, "3m 20s"),
        (7500, "2h 5m"),
        (3600, "1h"),
        (277200, "3d 5h"),
        (None, ""),
        (-90, "−1m 30s"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float | None, shown: str) -> None:
    assert formats.duration(seconds) == shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=100), "3 months ago"),
        (timedelta(days=900), "2 years ago"),
        (timedelta(minutes=-2), "in 2m"),
    ],
)
def test_an_age_is_told_in_words(ago: timedelta, shown: str) -> None:
    assert formats.age(NOW - ago, NOW) == shown


@given(st.text(max_size=80), st.integers(5, 40))
def test_a_cut_name_keeps_its_beginning_and_its_end(text: str, limit: int) -> None:
    cut = formats.middle_cut(text, limit)
    assert len(cut) <= limit
    if len(text) > limit:
        head, tail = cut.split("…", 1) if cut.count("…") == 1 else (cut[: (limit - 1) // 2], cut[-(limit // 2) :])
        assert text.startswith(head)
        assert text.endswith(tail)
    else:
        assert cut == text


def test_runs_of_the_same_name_get_labels_that_differ() -> None:
    labels = formats.unique_labels({"aaaa1111": "mlp", "aaaa2222": "mlp", "aaaa3333": "vit"})
    assert labels == {"aaaa1111": "mlp · 1111", "aaaa2222": "mlp · 2222", "aaaa3333": "vit"}


def test_sizes_have_binary_units() -> None:
    assert [formats.size(n) for n in (812, 4_519_363, 1 << 40)] == ["812 B", "4.31 MiB", "1 TiB"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.02, "0.02"), (1e-5, "1e-5"), (0.1 + 0.2, "0.3000"), (-0.5, "−0.5"), (True, "true"), (128, "128")],
)
def test_a_param_is_shown_as_it_was_written_where_that_is_short(value: float, shown: str) -> None:
    assert formats.written(value) == shown
