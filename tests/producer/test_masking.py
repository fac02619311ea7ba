"""Secrets are masked by name and by shape, and what only looks like one is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.masking import is_secret_name, mask_command, mask_text, mask_value


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "--hf-token",
        "api_key",
        "apiKey",
        "API-KEY",
        "AWS_SECRET_ACCESS_KEY",
        "token",
        "authToken",
        "client_secret",
        "wandb/api_key",
        "WANDB_API_KEY",
        "private_key",
        "access_token",
        "db.passwd",
        "credentials",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "pad_token",
        "eos_token",
        "max_tokens",
        "tokenizer",
        "token_dim",
        "key",
        "key_size",
        "num_keys",
        "monkey",
        "author",
        "lr",
        "",
        "attention_key",
        "mask_token",
        "hidden",
        "keyboard",
        "secretary_problem",
    ],
)
def test_names_of_other_things_are_not(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:pw@host:1/x?y=1", "https://***@host:1/x?y=1"),
        ("https://ghp_abc@github.com/x", "https://***@github.com/x"),
        ("postgres://u:p@h/db and http://plain/x", "postgres://***@h/db and http://plain/x"),
        ("https://h/x?token=abc&y=1", "https://h/x?token=***&y=1"),
        ("https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=***"),
        ("key AKIAIOSFODNN7EXAMPLE.", "key ***."),
        ("ghp_" + "a" * 36, "***"),
        ("hf_" + "A" * 34, "***"),
        ("sk-proj-" + "x" * 40, "***"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.abc", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
        ("58b1b16e0f5f1f2b3c4d5e6f708192a3b4c5d6e7", "58b1b16e0f5f1f2b3c4d5e6f708192a3b4c5d6e7"),
        ("user@host", "user@host"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_shapes_of_secrets_are_masked_wherever_they_stand(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        (["train.py", "--token", "abc", "--lr", "1"], ["train.py", "--token", "***", "--lr", "1"]),
        (["--api-key=abc", "password=x", "lr=1"], ["--api-key=***", "password=***", "lr=1"]),
        (["-token", "x", "y"], ["-token", "***", "y"]),
        (["--password", "--lr", "1"], ["--password", "--lr", "1"]),
        (["--pad-token", "<pad>"], ["--pad-token", "<pad>"]),
        (["http://u:p@h"], ["http://***@h"]),
        (["model.api_key=abc"], ["model.api_key=***"]),
    ],
)
def test_a_command_line_keeps_its_form_without_its_secrets(command: list[str], masked: list[str]) -> None:
    assert mask_command(command) == masked


@given(st.text())
def test_masking_never_fails_and_masks_once(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


def test_an_empty_secret_shows_that_it_is_empty() -> None:
    assert mask_value("API_KEY", "") == ""


@pytest.mark.parametrize(
    "text", ["x" * 60_000, "eyJ-" * 15_000, "?a" * 30_000, "a://" * 15_000, "-----BEGIN A" * 5_000]
)
def test_a_long_text_is_masked_in_time_to_its_length(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize("before", ["", "+", "-", " ", "- ", ".", "x="])
def test_credentials_in_an_address_are_masked_whatever_stands_before_it(before: str) -> None:
    assert mask_text(f"{before}postgresql://svc:xK3dP0q@db:5432/main") == f"{before}postgresql://***@db:5432/main"
    assert mask_text(f"{before}git+ssh://git@host/a.git") == f"{before}git+ssh://git@host/a.git"


def test_a_telegram_token_is_masked_in_the_address_of_its_interface() -> None:
    token = "123456789:AA" + "b7X" * 11
    assert mask_text(f"https://api.telegram.org/bot{token}/getMe") == "https://api.telegram.org/bot***/getMe"


def test_the_variable_of_azure_devops_is_a_secret() -> None:
    assert is_secret_name("AZURE_DEVOPS_EXT_PAT")
