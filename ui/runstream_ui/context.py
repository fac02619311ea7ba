"""The settings of this process, for the pages: Streamlit runs them as scripts, which take no arguments."""

from __future__ import annotations

import os

from runstream.settings import Settings
from runstream_ui.settings import UiSettings

_configured: list[UiSettings] = []


def configure(settings: UiSettings) -> None:
    """Say what the pages read from; called once, before the first page is served."""
    _configured[:] = [settings]


def settings() -> UiSettings:
    """What was configured, else what the environment says (`streamlit run app.py`)."""
    if not _configured:
        configure(UiSettings())
    return _configured[0]


def producer() -> Settings:
    """How edits are sent: the environment's settings of a producer, with the data directory of these pages."""
    return Settings.from_env(os.environ).changed(dir=str(settings().dir.expanduser().absolute()))
