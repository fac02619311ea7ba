"""Ids of runs and writers, and what is known of processes."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from pathlib import Path

from runstream import identity


def test_run_ids_are_uuid7_and_begin_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [identity.new_run_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1000
    assert all(i.version == 7 and i.variant == uuid.RFC_4122 for i in ids)
    assert all(before <= i.int >> 80 <= after for i in ids)


def test_writer_ids_fit_a_positive_avro_long() -> None:
    ids = {identity.new_writer_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(1 <= i < 2**63 for i in ids)


def test_a_process_is_known_while_it_runs_and_not_after() -> None:
    process = subprocess.Popen(["sleep", "60"])
    start = identity.process_start(process.pid)
    assert start > 0
    assert identity.process_lives(process.pid, start)
    assert identity.process_lives(process.pid, 0)
    assert not identity.process_lives(process.pid, start + 1)
    process.kill()
    process.wait()
    assert not identity.process_lives(process.pid, start)


def test_the_boot_id_is_the_same_for_all_who_ask() -> None:
    assert identity.boot_id() == identity.boot_id() != identity.NO_BOOT
    assert identity.pid_namespace() == Path("/proc/self/ns/pid").stat().st_ino


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "lock"
    assert not identity.lock_is_held(path)
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    assert not identity.lock_is_held(path)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert identity.lock_is_held(path)
    os.close(fd)
    assert not identity.lock_is_held(path)
