"""Fixtures for every test; those of the services live in `services/`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# No companion beside each run of a test: those that are about it switch it on.
os.environ["RUNSTREAM_CONSOLE"] = os.environ["RUNSTREAM_SYSTEM"] = "0"

# How long an example takes says nothing on a machine that others use.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = [
    "services.account",
    "services.kafka",
    "services.clickhouse",
    "services.s3",
    "services.browser",
    "services.secured",
]
