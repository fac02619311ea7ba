"""Which names say that what they hold is a secret."""

from __future__ import annotations

import re
from functools import lru_cache


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALWAYS = _set(
    "password passwd passphrase passcode pwd secret secrets credential credentials apikey authtoken accesskey "
    "secretkey jwt storepass keypass"
)
_ENDINGS = (
    *("password", "passwd", "passphrase", "apikey", "authtoken", "secretkey", "accesskey"),
    *("identitytoken", "sessiontoken", "accesstoken", "refreshtoken", "bearertoken"),
)
"""Of a word written together: PGPASSWORD, mysecretkey."""
_KEYS = _set(
    "api access secret private account auth encryption signing ssh license master session consumer shared storage "
    "webhook deploy client wandb openai anthropic hf gemini mistral comet neptune clearml fernet hmac aes aws azure "
    "functions subscription openrouter cohere groq pinecone langsmith langfuse"
)
_PASSES = _set(
    "db database smtp mail email ftp mysql postgres pg redis root admin ssh http proxy user my "
    "become sudo login account keystore truststore ssl"
)
_ACCESS_TOKENS = _set(
    "access auth refresh id bearer api hf hub github gitlab gh gl slack session security csrf bot app user personal "
    "secret aws npm pypi wandb client deploy oauth"
)
# Of text, not of access. Any other "... token" counts as a secret.
_TEXT_TOKENS = _set(
    "additional audio begin bos class cls context decoder end eos extra fim first image input last mask max min new "
    "next num output pad padding per prompt separator sep special start stop text think trigger unk unknown video "
    "word"
)

NO, UNLIKELY, MAYBE, SURE = range(4)
"""Not a secret; one when the value looks drawn by lot (`--key`); as an option, or when the value looks drawn by lot
(`token`); one whatever the value looks like (`password`)."""
_RARELY = _set("key auth pat creds pass pw")
"""Alone as an option, or in the scripts of people: `--key X` is more often the name of a column."""


@lru_cache(maxsize=4096)
def secrecy(name: str) -> int:
    """NO, UNLIKELY, MAYBE or SURE: how much `name` says that its value is a secret."""
    words = [word.lower() for word in _WORDS.findall(name.rsplit("/", 1)[-1][-200:])]
    if words and words[-1] == "value":
        words.pop()
    if not words:
        return NO
    if any(word in _ALWAYS or word.endswith(_ENDINGS) for word in words):
        return SURE
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "token" and before not in _TEXT_TOKENS:
        return SURE if before in _ACCESS_TOKENS else MAYBE
    found = (
        (last == "key" and before in _KEYS)
        or (last in ("pass", "pw") and before in _PASSES)
        or (last == "pat" and not {"github", "gitlab", "azure", "devops"}.isdisjoint(words))
        or (last == "auth" and before in ("redis", "npm", "basic", "http", "proxy"))
        or (words[-3:] == ["core", "windows", "net"] and "key" in words)
        or words[-3:] == ["auth", "user", "info"]
    )
    if found:
        return SURE
    alone = len(words) == 1 and last in _RARELY and (name.startswith("-") or last not in ("key", "pat"))
    return UNLIKELY if alone else NO


def is_secret_name(name: str) -> bool:
    """Whether `name` (of an option, variable or parameter) says that its value is a secret.

    `api_key`, `--hf-token`, `DB_PASSWORD` do; `pad_token`, `max_tokens`, `key_size`, `tokenizer` do not.
    """
    return secrecy(name) >= MAYBE
