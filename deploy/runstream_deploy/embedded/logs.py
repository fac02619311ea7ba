"""Structured logs of the embedded process: one JSON object a line in `logs/up.log`, warnings on the terminal too."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

import structlog

LOG_BYTES = 10 << 20
KEPT_FILES = 3


def log_to(directory: Path) -> Path:
    """Sends all logging of this process to `directory` and returns the path of the file. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "up.log"
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    file.setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_formatter(shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    terminal.addFilter(lambda record: record.name.startswith("runstream"))
    root = logging.getLogger()
    root.handlers = [file, terminal]
    root.setLevel(logging.WARNING)
    logging.getLogger("runstream").setLevel(logging.INFO)
    logging.getLogger("runstream_deploy").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    return path


def _formatter(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
