"""Secrets are recognised by the name of what holds them and by their shape, and leave as `***`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

from runstream.secret_commands import PROGRAMS, without_secrets_of_commands
from runstream.secret_names import MAYBE, NO, SURE, UNLIKELY, is_secret_name, secrecy
from runstream.secret_shapes import MASK, PEM, PEM_BEGIN, PEM_END, SHAPES, Pattern

__all__ = ["MASK", "LineMasker", "is_secret_name", "mask_command", "mask_lines", "mask_text", "mask_value"]

ROUNDS = 4
_NAME_PIECES = ("pass", "pw", "secret", "token", "key", "cred", "jwt", "_pat", "-pat", "auth")
"""Lower-case; each name that `secrecy` knows holds one of them."""
_LONG_RUN = b"a" * 20
"""Every shape without a test of its own in `_may_have_shape` has a run of so many letters, digits, - and _."""
_BEGINNING = itemgetter(slice(4))
_BEGINNINGS = frozenset(
    _BEGINNING(re.split("[^a-z0]", re.sub("[0-9]", "0", trigger))[0]).encode()
    for shape in SHAPES
    for trigger in shape.triggers
    if trigger[0].isalnum()
)
"""How words begin that hold a trigger, digits as zeros."""
_DISCORD = re.compile("(?:[mno][dtjz][aceigkmquy][w-z0]){5}")
_RUNS = bytes(ord("a" if chr(i).isalnum() or chr(i) in "-_" else " ") if i < 128 else ord(" ") for i in range(256))
_WORDS = bytes(ord(chr(i).lower()) if i < 128 and chr(i).isalnum() else ord(" ") for i in range(256))
_DIGITS = bytes(ord("0") if chr(i) in "123456789" else i for i in range(256))
MAX_TEMPLATES, MAX_TEMPLATE_BYTES = 4096, 400
_harmless: set[bytes] = set()
"""Lines without anything to mask, digits as zeros: no decision here depends on which digit it is."""
_ASSIGNED = re.compile(r"([+~]{0,2}-{0,2}[A-Za-z_][\w.+/-]*)=(.*)", re.DOTALL)
_NAME_BEFORE = re.compile(r"[\w.-]{0,80}\Z")
_NAME_AFTER = re.compile(r"[\w.-]{0,60}")
_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
# From a name to its value: `NAME=`, `"name": `, `name: str = `, `["NAME"] = `, `"NAME", "`, `<name>`, `--name `.
_TO_VALUE = Pattern(
    r"(?P<close>\\?[\"']?\]?)"
    r"(?P<to>[ \t]{0,4}:[ \t]{0,4}(?:str|bytes|SecretStr|[sS]tring|Optional\[str\]|str[ ]\|[ ]None|Final)"
    r"[ \t]{0,4}=[ \t]{0,4}"
    r"|:[ \t]{0,4}[|>][-+]?[ \t]{0,4}\n[ \t]{1,20}|[ \t]{0,8}(?::=|=>|[=!]?=|:)[ \t]{0,8}"
    r"|,\s{0,40}(?:\\?[\"']?value\\?[\"']?[ \t]{0,4}:[ \t]{0,4})?|\s{0,40}value(?::[ \t]{0,4}|[ \t]{0,4}=[ \t]{0,4})"
    r"|</\w{1,20}>\s{0,40}<value>|>|[ \t](?:is|was|provided):?[ \t]|[ \t]{1,4})"
    r"(?P<quote>[bBrRuUfF]{0,2}\\?(?:\"\"\"|'''|[\"'`]))?"
)
_BARE = re.compile(r"[^\s\"'`]{1,16384}+")
_UNTIL = {q: re.compile(rf"(?:[^{q}\\\n]++|\\[^\n])*+") for q in "\"'`"}
_UNTIL_ESCAPED = re.compile(r"[^\"'`\\\n]*+")
_PLACEHOLDER = re.compile(
    r"[*.xX_-]*|\$.*|<.*>?|\{.*|%.*|\[.*|none|null|true|false|undefined|redacted|masked|hidden", re.I
)
_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[,;:)\]}]*")
_LOOSE = frozenset(("", ",", "is", "was", "is:", "provided", "provided:"))
"""Between a name and what is its value, or is just another word."""
_IN_CODE = frozenset("()[]{}")


def mask_text(text: str) -> str:
    """`text` without what has the shape of a secret: URL credentials, known key formats, values of secret names.

    Cheap enough for each line of a log: lines that differ from a harmless one in their digits only are known again.
    """
    template = _template(text)
    if template in _harmless:
        return text
    masked, suspect = _masked(text, template)
    if not suspect and len(template) <= MAX_TEMPLATE_BYTES:
        if len(_harmless) >= MAX_TEMPLATES:
            _harmless.clear()
        _harmless.add(template)
    return masked


def mask_value(name: str, text: str) -> str:
    """The value of `name`, as it may leave this process."""
    return MASK if text and is_secret_name(name) else mask_text(text)


def mask_command(arguments: Sequence[str]) -> list[str]:
    """A command line with the secret values replaced: `--token X`, `--token=X`, `password=X`, `mysql -pX`."""
    masked: list[str] = []
    before = NO
    for argument in arguments:
        assigned = _ASSIGNED.fullmatch(argument)
        if before != NO and not argument.startswith("--") and _is_value(argument, before):
            masked.append(MASK)
        elif assigned is not None and (sure := secrecy(assigned[1])) != NO and _is_value(assigned[2], sure):
            masked.append(f"{assigned[1]}={MASK}")
        else:
            masked.append(mask_text(argument))
        before = secrecy(argument) if argument.startswith("-") and assigned is None else NO
    words = _template(" ".join(masked)).translate(_WORDS).split()
    if PROGRAMS.isdisjoint(words):
        return masked
    again = without_secrets_of_commands("\0".join(masked), words).split("\0")
    if len(again) != len(masked):
        return masked
    # An argument goes to its end: its password may have spaces.
    return [new if new == old else new.partition(MASK)[0] + MASK for old, new in zip(masked, again, strict=True)]


def _is_value(argument: str, sure: int) -> bool:
    """Whether an argument is the secret that the option before it announces."""
    return sure != UNLIKELY or _is_random(argument) or _is_drawn_word(argument)


class LineMasker:
    """Masks a text that comes line by line; remembers a private key that has begun and not ended."""

    MAX_KEY_LINES = 200

    def __init__(self) -> None:
        self._key_lines = 0

    def mask(self, line: str) -> str:
        """The line, as it may leave this process. The line's end is kept."""
        if self._key_lines:
            self._key_lines -= 1
            if end := PEM_END.get().search(line):
                self._key_lines = 0
                return MASK + self.mask(line[end.end() :])
            return MASK + _line_end(line)
        if "-----BEGIN" in line:
            begins = [match for match in PEM_BEGIN.get().finditer(line) if not PEM_END.get().search(line, match.end())]
            if begins:
                self._key_lines = self.MAX_KEY_LINES
                return mask_text(line[: begins[0].start()]) + MASK + _line_end(line)
        return mask_text(line)


def mask_lines(text: str) -> str:
    """`mask_text` that keeps the number of lines and their ends: for diffs and sources."""
    masker = LineMasker()
    return "".join(map(masker.mask, text.splitlines(keepends=True))) if text else text


def _line_end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _masked(text: str, template: bytes) -> tuple[str, bool]:
    """The text, masked; and whether another text with the same letters and other digits might need masking."""
    suspect = False
    low = template.decode("utf-8", "surrogatepass").lower()
    # Nearly every line of a log says no to all of these, and a loop over them takes half as long again.
    if not (
        "pass" in low
        or "pw" in low
        or "secret" in low
        or "token" in low
        or "key" in low
        or "cred" in low
        or "jwt" in low
        or "_pat" in low
        or "-pat" in low
        or "auth" in low
        or _may_have_shape(low, template)
        or ("-" in low and (" -" in low or '"-' in low or "'-" in low or "-cli " in low))
        or " login " in low
        or " alias set " in low
        or "sqlplus" in low
        or "net use " in low
        or "http-basic" in low
        or " obscure " in low
    ):
        return text, False
    for _ in range(ROUNDS):
        before, low = text, template.decode("utf-8", "surrogatepass").lower()
        if _may_have_shape(low, template):
            text, suspect = _without_shapes(text), True
        if programs := _programs(low, template):
            text, suspect = without_secrets_of_commands(text, programs), True
        named = [piece for piece in _NAME_PIECES if piece in low]
        if named:
            text, has_secret_name = _without_values(text, named)
            suspect = suspect or has_secret_name
        if text == before:
            break
        suspect = True
        template = _template(text)
    return text, suspect


def _template(text: str) -> bytes:
    """The text with all digits as zeros: no decision here depends on which digit it is."""
    return text.encode("utf-8", "surrogatepass").translate(_DIGITS)


def _may_have_shape(low: str, template: bytes) -> bool:
    """Whether it is worth while to try the shapes; cheap, for nearly every line of a log says no."""
    if (
        "bearer " in low
        or "basic " in low
        or "authorization" in low
        or "cookie" in low
        or "-----begin" in low
        or "sig=" in low
        or "eyj" in low
        or (":0000:" in low and " " not in low)
        or "pwd={" in low
        or "password={" in low
        or "identified " in low
        or ("(" in low and ("auth" in low or "login(" in low or "s0" in low))
        or ("://" in low and ("@" in low or "?" in low or "hook" in low))
        or ("@" in low and "jdbc:" in low)
    ):
        return True
    if _LONG_RUN not in template.translate(_RUNS):
        return False
    return (
        "?" in low
        or "&" in low
        or ":aa" in low
        or "//0" in low
        or "0q~" in low
        or ".atlasv0." in low
        or (low.count(".") > 1 and _DISCORD.search(low) is not None)
        or not _BEGINNINGS.isdisjoint(map(_BEGINNING, template.translate(_WORDS).split()))
    )


def _programs(low: str, template: bytes) -> list[bytes]:
    """The words of a line that has a program that takes a password."""
    words = template.translate(_WORDS).split()
    return [] if PROGRAMS.isdisjoint(words) else words


def _without_shapes(text: str) -> str:
    low = text.lower()
    for shape in SHAPES:
        for trigger in shape.triggers:
            if trigger in low:
                text = shape.pattern.get().sub(shape.replacement, text)
                break
    return PEM.get().sub(MASK, text) if "-----begin" in low else text


def _without_values(text: str, pieces: list[str]) -> tuple[str, bool]:
    """`text` without the values of secret names, of which each holds one of `pieces`; whether there is such a name."""
    low = text.lower()
    if len(low) != len(text):  # a few letters of other scripts become two
        low = "".join(lower if len(lower := letter.lower()) == 1 else letter for letter in text)
    found = [_values_named(text, low, piece) for piece in pieces]
    spans = sorted({span for some, _ in found for span in some})
    parts, at = [], 0
    for begin, end, masked in spans:
        if begin >= at:
            parts += [text[at:begin], masked]
            at = end
    return "".join([*parts, text[at:]]) if spans else text, any(has_name for _, has_name in found)


def _values_named(text: str, low: str, piece: str) -> tuple[list[tuple[int, int, str]], bool]:
    """Where the values stand of names that hold `piece` and say that they are secret, and what comes in their place;
    and whether there is such a name."""
    found = []
    has_name = False
    at = low.find(piece)
    while at >= 0:
        after = at + len(piece)
        begin, end = _name_around(text, at)
        name = text[begin:end]
        sure = secrecy(name) or _secrecy_of_words(text, begin, name)
        if sure != NO and (to := _TO_VALUE.get().match(text, end)) is not None:
            has_name = True
            if (span := _value(text, name, begin, to, sure)) is not None:
                close = to["close"]
                # Of JSON, where a number stands bare: what stands for it must be JSON too.
                quote = close if close and close[-1] in "\"'" and not to["quote"] else ""
                found.append((*span, f"{quote}{MASK}{quote}"))
                after = span[1]
        at = low.find(piece, after)
    return found, has_name


def _secrecy_of_words(text: str, begin: int, name: str) -> int:
    """Of a name in prose, such as `API key: X`: the word before belongs to it."""
    if name.lower() not in ("key", "token") or text[begin - 1 : begin] != " ":
        return NO
    before = text[max(0, begin - 13) : begin - 1].split()
    return UNLIKELY if before and secrecy(f"{before[-1]}_{name}") == SURE else NO


def _name_around(text: str, at: int) -> tuple[int, int]:
    """Where the name begins and ends that a piece at `at` is a part of."""
    before, after = text[max(0, at - 80) : at], text[at : at + 60]
    if before.isascii() and after.isascii():  # the quick way
        return at - len(before) + len(before.rstrip(_NAME_LETTERS)), at + len(after) - len(after.lstrip(_NAME_LETTERS))
    begin, end = _NAME_BEFORE.search(text, max(0, at - 80), at), _NAME_AFTER.match(text, at)
    return begin.start() if begin is not None else at, end.end() if end is not None else at


def _value(text: str, name: str, begin: int, to: re.Match[str], sure: int) -> tuple[int, int] | None:
    """The span of the value, when it is a secret."""
    separator, quote, start = to["to"], to["quote"], to.end()
    option = name.startswith("-")
    in_list = option and separator.startswith(",")
    if quote:
        if separator == ">":
            return None
        content = (_UNTIL_ESCAPED if "\\" in quote else _UNTIL[quote[-1]]).match(text, start)
        end = content.end() if content is not None else start
        value = text[start:end]
        if _PLACEHOLDER.fullmatch(value) or secrecy(value) != NO:
            return None
        if in_list and sure != UNLIKELY:  # ["--password", "x"]
            return (start, end) if not value.startswith("-") else None
        if len(value) < 4:
            return None
        drawn = _is_random(value) or (sure == SURE and _is_drawn_word(value))
        wanted = drawn if separator.strip() in _LOOSE or sure != SURE else True
        return (start, end) if wanted else None
    match = _BARE.match(text, start)
    if match is None or (separator.startswith(",") and not in_list and "value" not in separator):
        return None
    value = match[0]
    if "value>" in separator:
        value = value.split("<", 1)[0]
        return (start, start + len(value)) if sure == SURE and not _PLACEHOLDER.fullmatch(value) else None
    if separator == ">":
        value = value.split("<", 1)[0]
        wanted = text[begin - 1 : begin] == "<" and sure == SURE and len(value) >= 4
        return (start, start + len(value)) if wanted and not _PLACEHOLDER.fullmatch(value) else None
    return _bare(value, name, start, separator, sure, option=option)


def _bare(value: str, name: str, start: int, separator: str, sure: int, *, option: bool) -> tuple[int, int] | None:
    if _PLACEHOLDER.fullmatch(value):
        return None
    if name in ("PWD", "OLDPWD") and value.startswith("/"):  # where a shell is
        return None
    tight = separator == "="
    if tight and name.isupper() and sure == SURE:  # a line of an .env file, or of `export`
        return (start, start + len(value)) if len(value) >= 4 else None
    end = min((i for i in map(value.find, ",;&|)]}") if i > 0), default=len(value))
    value = value[:end]
    if _IN_CODE.intersection(value) or len(value) < 6:
        return None
    is_code = _CODE.fullmatch(value) is not None
    if separator.strip() in _LOOSE:
        wanted = _is_random(value) or (
            (sure == SURE or option)
            and (
                _is_drawn_word(value)
                or (sure == SURE and option and not separator.strip() and not value.startswith("-"))
            )
        )
    elif sure != SURE or (is_code and not tight and separator.strip() != ":"):
        wanted = _is_random(value) or (sure != MAYBE and _is_drawn_word(value))
    else:
        wanted = not is_code or any(letter.isdigit() for letter in value) or (option and tight) or ";" in name
    return (start, start + len(value)) if wanted else None


def _is_random(value: str) -> bool:
    """Whether a value of 12 letters or more looks drawn by lot: it changes often between digits, cases and signs."""
    if len(value) < 12 or any(map(str.isspace, value)):
        return False
    kinds = ["0" if c.isdigit() else "a" if c.islower() else "A" if c.isupper() else "_" for c in value]
    changes = sum(a != b for a, b in pairwise(kinds))
    return "0" in kinds and changes * 5 >= len(value) and len(set(value)) >= 8


def _is_drawn_word(value: str) -> bool:
    """Whether a word of letters and digits is more likely a password than a name in code or prose."""
    return (
        len(value) >= 8
        and value.isalnum()
        and not value.isalpha()
        and not value.isdecimal()
        and secrecy(value) == NO
        and re.fullmatch(r"[a-z]+(?:32|64|128|256|512)|0x\w+", value) is None
    )
