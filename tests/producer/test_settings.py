"""The environment becomes settings once, and every variable is documented."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from runstream.errors import SettingsError
from runstream.settings import VARIABLES, Settings, default_dir

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_variable_is_documented_with_its_default() -> None:
    text = DOCUMENT.read_text()
    missing = [variable for variable, _ in VARIABLES.values() if f"`{variable}`" not in text]
    assert missing == []


def test_every_field_has_a_variable() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert fields - set(VARIABLES) == {"rank", "client_options"}


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({"HOME": "/root"})
    assert (settings.project, settings.mode, settings.kafka, settings.agent) == ("default", "online", None, "auto")
    assert settings.s3 == (settings.dir / "objects").as_uri()


def test_the_default_directory_is_the_one_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for base in ("", "/somewhere/else"):
        monkeypatch.setenv("XDG_DATA_HOME", base)
        assert default_dir({"XDG_DATA_HOME": base}) == Path(platformdirs.user_data_dir("runstream"))


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("RUNSTREAM_DIR", "/data/x", "dir", Path("/data/x")),
        ("RUNSTREAM_KAFKA", "a:1,b:2", "kafka", "a:1,b:2"),
        ("RUNSTREAM_S3", "http://k:s@h:1/b", "s3", "http://k:s@h:1/b"),
        ("RUNSTREAM_MODE", "offline", "mode", "offline"),
        ("RUNSTREAM_TAGS", "a, b,,c", "tags", ("a", "b", "c")),
        ("RUNSTREAM_FINISH_TIMEOUT_S", "2.5", "finish_timeout_s", 2.5),
        ("RUNSTREAM_SPOOL_MAX_BYTES", "20G", "spool_max_bytes", 20 << 30),
        ("RUNSTREAM_SEGMENT_BYTES", "65536", "segment_bytes", 65536),
        ("RUNSTREAM_SEGMENT_BYTES", "2MiB", "segment_bytes", 2 << 20),
        ("RUNSTREAM_CAPTURE_GIT", "off", "capture_git", False),
        ("RUNSTREAM_CAPTURE_ENV", "A,B_*", "capture_env", ("A", "B_*")),
        ("RUNSTREAM_CAPTURE_ENV", "0", "capture_env", ()),
        ("RUNSTREAM_CAPTURE_ENV", "", "capture_env", ()),
        ("RUNSTREAM_QUIET", "yes", "quiet", True),
        ("RUNSTREAM_RANK", "3", "rank", 3),
        ("RANK", "2", "rank", 2),
        ("SLURM_PROCID", "5", "rank", 5),
        ("OMPI_COMM_WORLD_RANK", "6", "rank", 6),
        ("RANK", "none", "rank", 0),
    ],
)
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_env({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RUNSTREAM_MODE", "on"),
        ("RUNSTREAM_AGENT", "maybe"),
        ("RUNSTREAM_REINIT", "x"),
        ("RUNSTREAM_FINISH_TIMEOUT_S", "soon"),
        ("RUNSTREAM_FINISH_TIMEOUT_S", "-1"),
        ("RUNSTREAM_SPOOL_MAX_BYTES", "lots"),
        ("RUNSTREAM_MAX_METRICS", "-5"),
        ("RUNSTREAM_SEGMENT_BYTES", "10"),
        ("RUNSTREAM_CAPTURE", "perhaps"),
        ("RUNSTREAM_TOPIC_PREFIX", "a b"),
        ("RUNSTREAM_RANK", "first"),
        ("RUNSTREAM_ATTEMPT", "1.5"),
    ],
)
def test_a_value_of_no_use_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: text})


def test_the_kafka_options_are_kept_for_the_agent() -> None:
    settings = Settings.from_env({"RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL", "RUNSTREAM_KAFKA": "a:1"})
    assert settings.client_options == {"RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL"}


def test_another_directory_moves_the_objects_unless_they_were_placed() -> None:
    settings = Settings.from_env({"RUNSTREAM_DIR": "/a"})
    assert settings.changed(dir="/b").s3 == "file:///b/objects"
    placed = Settings.from_env({"RUNSTREAM_DIR": "/a", "RUNSTREAM_S3": "file:///o"})
    assert placed.changed(dir="/b").s3 == "file:///o"


def test_a_field_that_does_not_exist_is_named() -> None:
    with pytest.raises(SettingsError, match="colour"):
        Settings.from_env({}).changed(colour="red")


def test_settings_travel_to_other_processes() -> None:
    settings = Settings.from_env({"RUNSTREAM_KAFKA": "a:1"})
    assert pickle.loads(pickle.dumps(settings)) == settings
