"""Copies by the kernel: the same bytes, checked, and by hand where the kernel cannot."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runstream_storage.errors import ChecksumMismatch
from runstream_storage.objects.local_copy import SMALL_BYTES, STEP_BYTES, copy_file

SIZES = [0, 1, SMALL_BYTES, SMALL_BYTES + 1, STEP_BYTES, 2 * STEP_BYTES + 12345]


def copied(tmp_path: Path, data: bytes, expected: str) -> bytes:
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("x+b") as target:
        copy_file(source, target, key="k", expected=expected)
    return (tmp_path / "target").read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_has_the_same_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    assert copied(tmp_path, data, hashlib.sha256(data).hexdigest().upper()) == data


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_that_is_not_what_was_promised_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ChecksumMismatch):
        copied(tmp_path, bytes(size), "0" * 64)


def failing_after(steps: int, number: int) -> Callable[..., int]:
    real = os.copy_file_range
    calls = 0

    def call(*arguments: int) -> int:
        nonlocal calls
        calls += 1
        if calls > steps:
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    return call


@pytest.mark.parametrize("steps", [0, 1])
def test_where_the_kernel_cannot_it_is_copied_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    data = os.urandom(STEP_BYTES + 1)
    monkeypatch.setattr(os, "copy_file_range", failing_after(steps, errno.EXDEV))
    assert copied(tmp_path, data, hashlib.sha256(data).hexdigest()) == data


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "copy_file_range", failing_after(1, errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        copied(tmp_path, bytes(STEP_BYTES + 1), "")
