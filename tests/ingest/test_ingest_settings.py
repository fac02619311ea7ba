from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import generate_latest
from pydantic import ValidationError

from runstream.errors import SettingsError
from runstream_ingest.metrics import Metrics
from runstream_ingest.pipeline import PipelineSettings
from runstream_ingest.settings import IngestSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "ingest.md"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:9092")
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", "http://u:hidden@127.0.0.1:8123/runstream")


def settings() -> IngestSettings:
    return IngestSettings()  # type: ignore[call-arg] # pydantic reads the environment


def test_every_variable_is_in_the_document_with_its_default() -> None:
    lines = DOCUMENT.read_text().splitlines()
    for name, field in IngestSettings.model_fields.items():
        variable = f"`RUNSTREAM_{name.upper()}`"
        (line,) = [line for line in lines if line.startswith(f"| {variable} |")]
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"| {field.default:g} |" in line or f"| {field.default} |" in line, line


def test_every_metric_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    for line in generate_latest(Metrics().registry).decode().splitlines():
        if line.startswith("# HELP"):
            name = line.split()[2]
            if not name.endswith("_created"):
                assert f"`{name}`" in text, name


def test_the_defaults_of_the_steps_are_those_of_the_settings() -> None:
    assert settings().pipeline == PipelineSettings()


def test_the_topics_come_from_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_TOPIC_PREFIX", "lab")
    assert settings().topics == ("lab.control", "lab.metrics", "lab.logs")


def test_kafka_options_are_handed_on_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("RUNSTREAM_KAFKA_USER", "worker")
    monkeypatch.setenv("RUNSTREAM_KAFKA_PASSWORD", "hidden")
    options = settings().kafka_options
    assert (options.security_protocol, options.password, options.bootstrap) == ("SASL_SSL", "hidden", "127.0.0.1:9092")
    monkeypatch.setenv("RUNSTREAM_KAFKA_SECURITY_PROTOCOL", "none")
    with pytest.raises(SettingsError, match="PLAINTEXT, SSL"):
        _ = settings().kafka_options


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA_PASSWORD", "hidden")
    assert "hidden" not in repr(settings())


def test_a_missing_address_is_an_error_that_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNSTREAM_KAFKA")
    monkeypatch.setenv("RUNSTREAM_INGEST_BATCH_ROWS", "0")
    with pytest.raises(ValidationError) as caught:
        settings()
    assert "kafka" in str(caught.value)
    assert "hidden" not in str(caught.value)
