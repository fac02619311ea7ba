import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_storage.connection import ClickHouseSettings, connect
from runstream_storage.errors import StorageError, Unreachable, sentence_of

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_a_url_names_everything() -> None:
    settings = ClickHouseSettings.from_url("https://ana:s%40cret@db.example:9440/experiments")
    assert settings == ClickHouseSettings("db.example", 9440, "ana", "s@cret", "experiments", secure=True)


def test_what_a_url_leaves_out_has_a_default() -> None:
    assert ClickHouseSettings.from_url("http://localhost") == ClickHouseSettings("localhost", 8123, "default", "")


@given(user=texts, password=texts, database=texts.filter(lambda text: text.strip("/") == text))
def test_a_url_reads_back_as_it_was_written(user: str, password: str, database: str) -> None:
    settings = ClickHouseSettings("127.0.0.1", 8123, user, password, database)
    assert ClickHouseSettings.from_url(settings.url) == settings


def test_an_ipv6_host_keeps_its_brackets() -> None:
    assert ClickHouseSettings.from_url("http://[::1]:8123/a").url == "http://default@[::1]:8123/a"


@pytest.mark.parametrize("url", ["localhost:8123", "tcp://localhost", "http://", "http://host:99999/db", ""])
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="ClickHouse URL"):
        ClickHouseSettings.from_url(url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Received ClickHouse exception, code: 516, server response: Code: 516. DB::Exception: ro: Authentication "
            "failed. (AUTHENTICATION_FAILED) (version 26.7.2.1 (official build)) (for url http://127.0.0.1:8123)",
            "ro: Authentication failed. (AUTHENTICATION_FAILED)",
        ),
        ("Setting insert_deduplicate is readonly", "Setting insert_deduplicate is readonly"),
        ("", "ValueError"),
    ],
)
def test_a_refusal_is_told_in_the_server_s_own_words(text: str, said: str) -> None:
    assert sentence_of(ValueError(text)) == said


def test_no_message_and_no_repr_shows_the_password() -> None:
    settings = ClickHouseSettings.from_url("http://ana:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in repr(settings) + settings.safe_url
    with pytest.raises(Unreachable) as caught:
        connect(settings, connect_timeout_s=1)
    assert "hunter2" not in str(caught.value)
    assert "http://ana@127.0.0.1:1/db" in str(caught.value)
