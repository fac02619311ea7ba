from __future__ import annotations

import numpy as np
import pytest

from runstream_ingest.buffers import PATIENCE, SMALLEST, SPARE, Buffers, Carver, size_of


def test_memory_that_was_given_back_serves_the_next_batch_also_when_that_is_a_little_larger() -> None:
    buffers = Buffers()
    first = buffers.take(SMALLEST)
    first[:] = 1
    buffers.give(first)
    again = buffers.take(SMALLEST + SMALLEST // 10)
    assert again is first


def test_what_is_lent_is_lent_once() -> None:
    buffers = Buffers()
    for buffer in [buffers.take(SMALLEST) for _ in range(SPARE + 2)]:
        buffers.give(buffer)
    lent = [buffers.take(SMALLEST) for _ in range(SPARE + 2)]
    assert len({id(one) for one in lent}) == len(lent)


def test_a_larger_batch_gets_memory_that_is_large_enough() -> None:
    buffers = Buffers()
    buffers.give(buffers.take(SMALLEST))
    assert buffers.take(4 * SMALLEST).nbytes >= 4 * SMALLEST


def test_after_many_small_batches_nothing_large_is_held() -> None:
    buffers = Buffers()
    large = buffers.take(SMALLEST)
    buffers.give(large)
    for _ in range(PATIENCE + 1):
        buffers.take(10)
    assert buffers.take(SMALLEST) is not large


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_arrays_of_a_buffer_do_not_overlap(count: int) -> None:
    dtypes = (np.uint8, np.float64, np.uint16, np.int64)
    carver = Carver(np.zeros(size_of(count, *dtypes), np.uint8))
    arrays = [carver.array(count, dtype) for dtype in dtypes]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [array.tolist() for array in arrays] == [[number] * count for number in range(4)]
    assert all(array.flags.aligned for array in arrays)
