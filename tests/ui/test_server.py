from __future__ import annotations

from pathlib import Path

import pytest

from runstream_ui.server import streamlit_options
from runstream_ui.settings import UiSettings


def test_the_pages_tell_nobody_that_they_are_used() -> None:
    assert streamlit_options("127.0.0.1", 8600)["browser.gatherUsageStats"] is False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_no_other_host_name_is_answered(host: str) -> None:
    assert set(streamlit_options(host, 8600)["server.allowedHosts"]) == {"127.0.0.1", "localhost", "::1"}


def test_a_traceback_is_never_shown_to_a_browser() -> None:
    assert streamlit_options("0.0.0.0", 8600)["client.showErrorDetails"] == "none"


def test_every_option_that_is_shipped_is_one_that_streamlit_knows() -> None:
    from streamlit import config

    unknown = set(streamlit_options("127.0.0.1", 8600)) - set(config._config_options_template)
    assert not unknown


def test_without_an_object_store_files_come_from_the_data_directory(tmp_path: Path) -> None:
    assert UiSettings(dir=tmp_path).object_store_url == (tmp_path / "objects").as_uri()


def test_a_password_is_not_in_the_text_of_the_settings() -> None:
    settings = UiSettings(clickhouse="http://u:s3cret@h:1/d", s3="http://k:s3cret@h:1/b")
    assert "s3cret" not in repr(settings)
