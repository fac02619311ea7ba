"""Secrets are recognised by the name of what holds them and by their shape, and leave as `***`."""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALWAYS = {
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "apikey",
    "authtoken",
}
_KEYS = {"api", "access", "secret", "private", "account", "auth", "encryption", "signing", "ssh", "license"}
# Of text, not of access. Any other "... token" counts as a secret.
_TEXT_TOKENS = {
    *(
        "additional",
        "audio",
        "begin",
        "bos",
        "class",
        "cls",
        "context",
        "decoder",
        "end",
        "eos",
        "extra",
        "fim",
        "first",
    ),
    *(
        "image",
        "input",
        "last",
        "mask",
        "max",
        "min",
        "new",
        "next",
        "num",
        "output",
        "pad",
        "padding",
        "per",
        "prompt",
    ),
    *("separator", "sep", "special", "start", "stop", "text", "think", "trigger", "unk", "unknown", "video", "word"),
}
# Every repeat that can fail is bounded, so that a long text takes time in proportion to its length.
_SHAPES = (
    (re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^/@\s]{1,1000}@"), rf"\1{MASK}@"),
    (
        re.compile(r"([?&][\w.-]{0,60}(?:token|key|password|secret|signature|sig|credential)=)[^&\s]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)", re.DOTALL),
        MASK,
    ),
    (
        re.compile(
            r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
            r"|sk-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"
            r"|eyJ[\w-]{8,2000}\.[\w-]{8,2000}\.[\w-]*)"
        ),
        MASK,
    ),
)
_ASSIGNED = re.compile(r"(-{0,2}[A-Za-z_][\w.+/-]*)=(.*)", re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Whether `name` (of an option, variable or parameter) says that its value is a secret.

    `api_key`, `--hf-token`, `DB_PASSWORD` do; `pad_token`, `max_tokens`, `key_size`, `tokenizer` do not.
    """
    words = [word.lower() for word in _WORDS.findall(name.rsplit("/", 1)[-1])]
    if not words:
        return False
    if _ALWAYS.intersection(words):
        return True
    before = words[-2] if len(words) > 1 else ""
    return (words[-1] == "token" and before not in _TEXT_TOKENS) or (words[-1] == "key" and before in _KEYS)


def mask_text(text: str) -> str:
    """`text` without what has the shape of a secret: URL credentials, known key formats, bearer tokens."""
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def mask_value(name: str, text: str) -> str:
    """The value of `name`, as it may leave this process."""
    return MASK if text and is_secret_name(name) else mask_text(text)


def mask_command(arguments: Sequence[str]) -> list[str]:
    """A command line with the values of secret options replaced: `--token X`, `--token=X`, `password=X`."""
    masked: list[str] = []
    secret_follows = False
    for argument in arguments:
        assigned = _ASSIGNED.fullmatch(argument)
        if secret_follows and not argument.startswith("--"):
            masked.append(MASK)
        elif assigned is not None and is_secret_name(assigned[1]):
            masked.append(f"{assigned[1]}={MASK}")
        else:
            masked.append(mask_text(argument))
        secret_follows = argument.startswith("-") and assigned is None and is_secret_name(argument)
    return masked
