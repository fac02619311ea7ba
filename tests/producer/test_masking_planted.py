"""A secret that is planted in a text never leaves; harmless text does, unchanged."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream.masking import LineMasker, mask_command, mask_lines, mask_text
from runstream.values import typed

BASE62 = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def of(alphabet: str, least: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most or least + 20)


def drawn(length: int = 24) -> st.SearchStrategy[str]:
    """What a generator of passwords gives: letters and digits in turn, none of them rare."""
    part = st.tuples(
        st.sampled_from(string.ascii_lowercase), st.sampled_from("0123456789"), st.sampled_from("ABCDEFGHJK")
    )
    return (
        st.lists(part, min_size=length // 3, max_size=length // 3)
        .map(lambda ps: "".join("".join(p) for p in ps))
        .filter(lambda text: len(set(text)) >= 8)
    )


SHAPED = st.one_of(
    of(string.ascii_uppercase + string.digits, 16, 16).map("AKIA{}".format),
    st.tuples(st.sampled_from("pousr"), of(BASE62, 36)).map(lambda p: f"gh{p[0]}_{p[1]}"),
    of(BASE62 + "_", 60).map("github_pat_{}".format),
    of(BASE62 + "-_", 20).map("glpat-{}".format),
    of(BASE62, 34).map("hf_{}".format),
    of(BASE62, 48).map("sk-{}".format),
    of(BASE62 + "-_", 60).map("sk-proj-{}".format),
    of(BASE62 + "-_", 80).map("sk-ant-api03-{}".format),
    of(BASE62, 24).map("sk_live_{}".format),
    of(BASE62, 24).map("xoxb-123456789012-{}".format),
    of(BASE62 + "-_", 35, 35).map("AIza{}".format),
    of(BASE62 + "-_", 40).map("ya29.{}".format),
    of(BASE62, 36).map("npm_{}".format),
    of(BASE62 + "-_", 60).map("pypi-{}".format),
    of(HEX, 32, 32).map("dapi{}".format),
    st.tuples(of(BASE62, 22, 22), of(BASE62, 43, 43)).map(lambda p: f"SG.{p[0]}.{p[1]}"),
    of(BASE62, 52).map("gsk_{}".format),
    of(BASE62 + "-_", 60).map("nvapi-{}".format),
    of(BASE62, 40).map("wandb_v1_{}".format),
    of(string.ascii_lowercase + string.digits, 48).map("csk-{}".format),
    of(BASE62, 60).map("pcsk_{}".format),
    of(HEX, 32, 32).map("lsv2_pt_{}_0123456789".format),
    of(HEX, 34, 34).map("PMAK-0123456789abcdef01234567-{}".format),
    of(string.ascii_uppercase + string.digits, 27, 27).map("NRAK-{}".format),
    of(HEX, 48, 48).map("rubygems_{}".format),
    of(BASE62, 43, 43).map("secret_{}".format),
    of(HEX, 32, 32).map("key-{}".format),
    of(BASE62, 34, 34).map("abc8Q~{}".format),
    of(BASE62, 65).map("abcdefGHIJ1234.atlasv1.{}".format),
    st.tuples(of(BASE62 + "-_", 20), of(BASE62 + "-_", 20), of(BASE62 + "-_", 40)).map(
        lambda p: f"eyJ{p[0]}.eyJ{p[1]}.{p[2]}"
    ),
)
NAMES = st.sampled_from(
    [
        "password",
        "DB_PASSWORD",
        "api_key",
        "apiKey",
        "WANDB_API_KEY",
        "client_secret",
        "access_token",
        "HF_TOKEN",
        "PGPASSWORD",
    ]
)
PLACES = st.sampled_from(
    [
        "{name}={secret}",
        "export {name}={secret}",
        "+{name}={secret}",
        "{name}: {secret}",
        "  {name}: '{secret}'  # from the vault",
        '{{"lr": 0.1, "{name}": "{secret}", "n": 3}}',
        "{{'{name}': '{secret}'}}",
        '{name} = "{secret}"',
        "{name}: str = '{secret}'",
        'os.environ["{name}"] = "{secret}"',
        'os.environ.setdefault("{name}", "{secret}")',
        'client = Client({name}="{secret}", timeout=3)',
        '"{{\\"{name}\\": \\"{secret}\\"}}"',
        "--{name} {secret} --lr 1",
        "--{name}={secret}",
        "<{name}>{secret}</{name}>",
        "Server=db;{name}={secret};Timeout=3",
        '{{"name": "{name}", "value": "{secret}"}}',
        "- name: {name}\n  value: {secret}\n",
        "{name} := {secret}",
        "X-{name}: {secret}",
    ]
)
AROUND = st.sampled_from(
    ["{}", "step 3: {} (again)", "loss=0.5 | {}", "[{}]", "'{}'", "zażółć {} 🔑", "a\x00b {}", "{}\nnext", "\t{}\r\n"]
)
OPEN = st.sampled_from(
    [
        "https://user:{}@host/x",
        "postgresql+psycopg2://u:{}@db:5432/name?sslmode=require",
        "https://{}@github.com/me/x.git",
        "redis://:{}@cache:6379/0",
        "mongodb+srv://u:{}@cluster.example.net",
        "https://u:p@ss{}@host",
        "https://h/x?a=1&access_token={}&b=2",
        "https://acc.blob.core.windows.net/c?sv=2&sig={}",
        "curl -H 'Authorization: Bearer {}' https://h",
        "Authorization: Basic {}",
        '"authorization": "Token {}"',
        "Cookie: session={}; theme=dark",
        "x-api-key: {}",
        "https://hooks.slack.com/services/T0/B0/{}",
        "machine api.wandb.ai login user password {}",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={}==;EndpointSuffix=y",
    ]
)


@settings(deadline=None)
@given(SHAPED, AROUND)
def test_a_known_shape_never_survives_wherever_it_stands(secret: str, around: str) -> None:
    assert secret not in mask_text(around.format(secret))


@settings(deadline=None)
@given(NAMES, drawn(), PLACES, AROUND)
def test_the_value_of_a_secret_name_never_survives_in_any_notation(
    name: str, secret: str, place: str, around: str
) -> None:
    assert secret not in mask_text(around.format(place.format(name=name, secret=secret)))


@settings(deadline=None)
@given(st.one_of(drawn(), SHAPED), OPEN, AROUND)
def test_credentials_in_addresses_and_headers_never_survive(secret: str, place: str, around: str) -> None:
    assert secret not in mask_text(around.format(place.format(secret)))


@settings(deadline=None)
@given(st.one_of(drawn(), SHAPED), NAMES)
def test_a_command_line_and_a_nested_parameter_keep_no_secret(secret: str, name: str) -> None:
    command = ["train.py", f"--{name}", secret, f"--{name}={secret}", f"+x.{name}={secret}", json.dumps({name: secret})]
    assert secret not in "\n".join(mask_command(command))
    assert secret not in typed("config/x", [{name: secret}, {"inner": {name: secret}}])["text"]
    assert secret not in typed(f"config/{name}", secret)["text"]


@settings(deadline=None)
@given(st.lists(of(BASE62 + "+/", 64, 64), min_size=1, max_size=8), st.sampled_from(["", "+", " ", "-", "  "]))
def test_a_private_key_never_survives_line_by_line_nor_as_a_whole(body: list[str], before: str) -> None:
    kind = "RSA PRIVATE KEY"
    lines = ["first", f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----", "lr = 0.1", "last"]
    text = "".join(f"{before}{line}\n" for line in lines)
    masker = LineMasker()
    by_line = "".join(masker.mask(line) for line in text.splitlines(keepends=True))
    for masked in (mask_text(text), by_line, mask_lines(text)):
        assert not any(line in masked for line in body)
        assert "first" in masked
        assert "lr = 0.1" in masked
    assert by_line.count("\n") == mask_lines(text).count("\n") == text.count("\n")
    assert body[0] not in mask_text(json.dumps({"private_key": text}))


HARMLESS = [
    "2026-11-23 18:00:01 INFO epoch 3 step 1200 | loss 0.3241 | 12034 tokens/s | 23.4 GiB",
    "tokenizer.pad_token = tokenizer.eos_token",
    "max_tokens=4096, num_key_value_heads=8, key_size: 64, attention_key=query",
    "token = next(tokens)",
    "password = getpass.getpass()",
    "api_key = os.environ['OPENAI_API_KEY']",
    "secret_key = settings.SECRET_KEY",
    "def login(user: str, password: str, token: str | None = None) -> None:",
    "login(password=password, token=token)",
    "password: ${DB_PASSWORD}",
    'api_key="<your key>"',
    "commit 58b1b16e0f5f1f2b3c4d5e6f708192a3b4c5d6e7",
    "git@github.com:me/x.git ssh://git@github.com/me/x.git git+ssh://git@github.com/me/x",
    "https://example.org:8080/data/train-00001-of-00010.parquet?download=true",
    "see https://h/@user/post, s3://bucket/key=a/part=1.parquet",
    "Some weights of BertForSequenceClassification were not initialized",
    "risk-adjusted-return-on-capital-2026, task-sk-learn-pipeline",
    "basic training of 3 steps, bearer of bad news, Basic blocks",
    "uuid 0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3 sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "for key, value in items: print(key, value)",
    '{"token": "hello", "logit": 3.2, "key": "value"}',
    "token: hello world",
    "the password must not be empty; secrets are masked",
    "+    return self.key_proj(x)  # [batch, heads, key]",
    "author: Jane Doe <jane@example.org>",
    "loss@step=3 acc@1=0.5",
    "",
    "\n",
    "\ud800 lone surrogate",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert mask_text(text) == text


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(HARMLESS), st.text(), SHAPED, PLACES, OPEN, NAMES, drawn()), max_size=6),
    st.text(max_size=3),
)
def test_masking_what_is_masked_changes_nothing(parts: list[str], between: str) -> None:
    once = mask_text(between.join(parts))
    assert mask_text(once) == once


@settings(deadline=None)
@given(st.text(alphabet="İKſ=:'\" apiкey_password0123456789ABab", max_size=200))
def test_letters_that_change_their_length_do_no_harm(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "password=" * 8_000,
        "password='" * 8_000,
        '"password": ' * 6_000,
        "key" * 30_000,
        "token " * 15_000,
        "authorization: " * 5_000,
        "Bearer " * 10_000,
        "sk-" * 30_000,
        "https://a:b" * 8_000,
        "cookie:a=" * 8_000,
        "-----BEGIN PRIVATE KEY-----" * 3_000,
    ],
)
def test_a_long_text_of_beginnings_is_masked_in_time_to_its_length(text: str) -> None:
    assert len(mask_text(text)) <= len(text)


def test_what_was_json_stays_json() -> None:
    given = {"password": 12345678, "inner": {"api_key": 987654321, "pin_secret": 1.5e10, "n": [1]}, "lr": 0.1}
    masked = mask_text(json.dumps(given))
    assert json.loads(masked) == {
        "password": "***",
        "inner": {"api_key": "***", "pin_secret": "***", "n": [1]},
        "lr": 0.1,
    }
    twice = mask_text(json.dumps({"text": json.dumps(given)}))
    assert "12345678" not in twice
    assert json.loads(json.loads(twice)["text"])["lr"] == 0.1


@settings(deadline=None)
@given(st.one_of(drawn(), SHAPED), NAMES, st.one_of(PLACES, st.just("see {secret}")), st.integers(1, 9))
def test_a_line_that_differs_in_its_digits_only_makes_no_secret_harmless(
    secret: str, name: str, place: str, shift: int
) -> None:
    text = place.format(name=name, secret=secret)
    other = "".join(str((int(letter) + shift) % 10) if letter in "0123456789" else letter for letter in text)
    expected_to_go = mask_text(text)  # whether or not the other one came first
    mask_text(other)
    assert mask_text(text) == expected_to_go
    if place != "see {secret}":
        assert secret not in mask_text(text)


def test_digits_that_make_a_shape_are_seen_after_others_did_not() -> None:
    for prefix in ("ya28.", "2//0", "r9_", "xai-", "wandb_v2_", "AGE-SECRET-KEY-2", "dop_v2_"):
        mask_text(f"see {prefix}{'AbC0123456789defGHIJKLMNOPQRSTUVWX' * 2}")
    for prefix in ("ya29.", "1//0", "r8_", "wandb_v1_"):
        assert mask_text(f"see {prefix}{'AbC0123456789defGHIJKLMNOPQRSTUVWX' * 2}") == "see ***"
