"""`python -m runstream_ingest`."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from runstream.errors import SettingsError
from runstream_ingest.service import run
from runstream_ingest.settings import IngestSettings

if __name__ == "__main__":
    try:
        settings = IngestSettings()  # type: ignore[call-arg] # pydantic reads the environment
        settings.kafka_options  # noqa: B018 - a wrong option is told before anything starts
    except (ValidationError, SettingsError) as error:
        sys.exit(f"runstream ingest: {error}")
    sys.exit(run(settings))
