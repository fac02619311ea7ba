from __future__ import annotations

import logging

import pytest

from runstream.agent.__main__ import OncePerWhile, main


def record(message: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("kafka", level, "x", 1, message, (), None)


def test_a_warning_that_repeats_is_logged_once_in_a_while() -> None:
    once = OncePerWhile()
    passed = [once.filter(record("down")) for _ in range(3)]
    assert passed == [True, False, False]
    assert once.filter(record("something else"))


def test_notes_always_pass() -> None:
    once = OncePerWhile()
    assert all(once.filter(record("connected", logging.INFO)) for _ in range(3))


def test_help_names_every_variable_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "RUNSTREAM_KAFKA_SECURITY_PROTOCOL" in text
    assert "RUNSTREAM_TOPIC_PREFIX" in text
