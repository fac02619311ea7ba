import math

import pytest

from runstream_storage.queries.student_t import half_width, quantile

PRINTED = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 10: 2.2281, 30: 2.0423, 100: 1.9840}


@pytest.mark.parametrize("degrees", PRINTED)
def test_quantiles_are_those_of_printed_tables(degrees: int) -> None:
    assert quantile(degrees) == pytest.approx(PRINTED[degrees], abs=6e-5)


def test_many_degrees_are_as_good_as_normal() -> None:
    assert quantile(1_000_000) == pytest.approx(1.959966, abs=1e-5)


def test_other_levels_are_right_too() -> None:
    assert quantile(7, 0.99) == pytest.approx(3.4995, abs=6e-5)


def test_one_number_has_no_interval() -> None:
    assert half_width(1, math.nan) is None


def test_infinities_have_no_interval() -> None:
    assert half_width(3, math.nan) is None


def test_the_interval_is_t_times_the_standard_error() -> None:
    assert half_width(10, 3.0) == pytest.approx(2.262157 * 3 / math.sqrt(10), abs=1e-4)
