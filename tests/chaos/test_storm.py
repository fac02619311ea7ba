"""A short random storm over everything at once. `make chaos` runs long ones."""

from __future__ import annotations

import os
import random
from contextlib import closing
from pathlib import Path

import pytest
from storm.blows import WEIGHTS, schedule
from storm.report import account, judged, table
from storm.storm import Storm, StormSettings

from runstream_deploy.dev import ClickHouseService, KafkaService

SECONDS = 22.0
EVERY_S = 1.1


def seed() -> int:
    """A new one each time, so that many runs see many storms; RUNSTREAM_CHAOS_SEED repeats one."""
    return int(os.environ.get("RUNSTREAM_CHAOS_SEED", "") or random.randrange(1_000_000))


@pytest.mark.real
@pytest.mark.timeout(600)
def test_after_a_storm_every_answer_is_what_the_trainers_logged_and_no_row_is_stored_twice(
    private_kafka: KafkaService, private_clickhouse: ClickHouseService, tmp_path: Path
) -> None:
    settings = StormSettings(seed(), SECONDS, EVERY_S)
    print(f"again: RUNSTREAM_CHAOS_SEED={settings.seed} make test ARGS='tests/chaos/test_storm.py'")
    with closing(Storm(settings, private_kafka, private_clickhouse, tmp_path / "storm")) as storm:
        after = storm.run()
    print(f"{table([('all layers', after)])}\n{account(after)}")
    assert judged(after) == []
    assert after.findings.logged > 0


def test_a_schedule_is_a_function_of_its_seed_and_has_every_kind_of_blow() -> None:
    blows = schedule(7, 60, 1)
    assert blows == schedule(7, 60, 1)
    assert blows != schedule(8, 60, 1)
    assert {blow.kind for blow in blows} == set(WEIGHTS)
