"""Fixtures for every test; those of the services live in `services/`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["services.account", "services.kafka", "services.clickhouse", "services.s3", "services.browser"]
