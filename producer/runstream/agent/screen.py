"""What output looks like on a terminal: lines with numbers, from the bytes of a console outbox.

The lines are a pure function of the records, so that reading them again after a crash numbers them the same. Progress
bars stay one line: `\\r`, backspace, erasing and the cursor's way up over the last WINDOW lines are followed. Colours
and emphasis are kept beside the text (`runstream.sgr`); all other escape sequences are left out. Bytes that are no
UTF-8 and characters that nobody can see become U+FFFD.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

from runstream import sgr
from runstream.masking import MASK, LineMasker, mask_text

WINDOW = 40
"""Lines that can still be gone back to."""
MAX_LINE = 16_384
"""Characters; a longer line is cut into pieces, and nothing is lost."""
SHOW_OPEN_S = 2.0
"""How often a line that still changes is sent."""
_SPECIAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PART = re.compile(
    r"(?P<csi>\x1b\[[0-?]{0,60}[ -/]{0,4}[@-~])"
    r"|(?P<osc>\x1b[\]PX^_][^\x07\x1b]{0,4000}(?:\x07|\x1b\\))"
    r"|(?P<esc>\x1b[ -/]{0,4}[0-OQ-WYZ\\`-~])"
    r"|(?P<control>[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029])"
    r"|(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+)"
)
_MAY_GO_ON = re.compile(r"\x1b(?:\[[0-?]{0,60}[ -/]{0,4}|[\]PX^_][^\x07\x1b]{0,4000}\x1b?|[ -/]{0,4})")
_SGR = re.compile(r"[0-9;:]*")
_WORD_BEING_PRINTED = re.compile(r"[\w./+=-]{8,}\Z")
_REPLACED = "\ufffd"


class Line:
    """One line. `time_us`: when it began; `changed_us`: when its text last changed."""

    __slots__ = ("changed_us", "dirty", "number", "open_when_sent", "runs", "sent_at", "stream", "text", "time_us")

    def __init__(self, number: int, stream: int, time_us: int) -> None:
        self.number = number
        self.stream = stream
        self.time_us = self.changed_us = time_us
        self.text = ""
        self.runs: sgr.Runs = []
        self.dirty = True
        self.sent_at: float | None = None
        self.open_when_sent = False

    def styles(self, masked: str) -> str:
        """Its colours as `sgr.to_text` writes them, for its text as it is sent."""
        return sgr.to_text(sgr.moved(self.runs, self.text, masked, MASK)) if self.runs else ""


class Screen:
    """The lines of both streams. Each stream has its own cursor; numbers are given in the order the lines began."""

    def __init__(self) -> None:
        self.next_number = 0
        self._cursors: dict[int, Cursor] = {}
        self._dirty: dict[int, Line] = {}

    def write(self, stream: int, time_us: int, data: bytes) -> None:
        self._cursor(stream).write(time_us, data)

    def say(self, stream: int, time_us: int, text: str) -> None:
        """A line of our own, between the others."""
        cursor = self._cursor(stream)
        cursor.write(time_us, b"" if cursor.at_line_start else b"\n")
        cursor.write(time_us, f"[runstream: {text}]\n".encode())

    def line(self, stream: int, time_us: int) -> Line:
        """A new line, with the next number."""
        line = Line(self.next_number, stream, time_us)
        self.next_number += 1
        self._dirty[line.number] = line
        return line

    def changed(self, line: Line) -> None:
        line.dirty = True
        self._dirty[line.number] = line

    def take(self, now: float, *, everything: bool = False) -> list[tuple[Line, str]]:
        """The lines to be sent now, in order, and their text with secrets masked. `everything`: also those that change.

        `now`: monotonic seconds.
        """
        taken = []
        for number in sorted(self._dirty):
            line = self._dirty[number]
            cursor = self._cursors[line.stream]
            is_open = cursor.is_open(line)
            if line.sent_at is None and is_open:
                line.sent_at = now  # of a line that has just begun, the first sight is worth waiting for
                line.open_when_sent = True
            settles = not is_open and (line.open_when_sent or not cursor.reaches(line))
            if not (everything or settles or line.sent_at is None or now - line.sent_at >= SHOW_OPEN_S):
                continue
            text = cursor.masked(line, is_open=is_open and not everything)
            line.sent_at, line.open_when_sent, line.dirty = now, is_open, False
            del self._dirty[number]
            taken.append((line, text))
        return taken

    @property
    def waits(self) -> bool:
        """Whether something is not sent yet."""
        return bool(self._dirty)

    def as_dict(self) -> dict[str, Any]:
        """The state after what was written, for `from_dict`."""
        return {"next": self.next_number, "cursors": {n: c.as_dict() for n, c in self._cursors.items()}}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Screen:
        screen = cls()
        screen.next_number = int(state["next"])
        for stream, fields in state["cursors"].items():
            cursor = screen._cursor(int(stream))
            cursor.restore(fields)
            for line in cursor.rows:
                if line.dirty:
                    screen._dirty[line.number] = line
        return screen

    def _cursor(self, stream: int) -> Cursor:
        if stream not in self._cursors:
            self._cursors[stream] = Cursor(self, stream)
        return self._cursors[stream]


class Cursor:
    """Where one stream writes. `row` may be one behind the last: nothing is there before something is written."""

    def __init__(self, screen: Screen, stream: int) -> None:
        self.rows: list[Line] = []
        self._screen = screen
        self._stream = stream
        self._row = 0
        self._column = 0
        self._codes = ""
        """SGR parameters of what is written next."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""
        """An escape sequence, or a carriage return, whose rest has not come."""
        self._masker = LineMasker()
        self._masked_to = -1

    @property
    def at_line_start(self) -> bool:
        return self._row >= len(self.rows)

    def is_open(self, line: Line) -> bool:
        """Whether the cursor stands on it."""
        return self._row < len(self.rows) and self.rows[self._row] is line

    def reaches(self, line: Line) -> bool:
        """Whether it may still change."""
        return bool(self.rows) and line.number >= self.rows[0].number

    def write(self, time_us: int, data: bytes) -> None:
        text = self._begun + self._decoder.decode(data)
        self._begun = ""
        self._write_text(time_us, text)

    def _write_text(self, time_us: int, text: str) -> None:
        if _SPECIAL.search(text) is None:
            self._put_lines(text, time_us)
            return
        at = 0
        while at < len(text):
            part = _PART.match(text, at)
            if part is not None:
                at = part.end()
                getattr(self, f"_{part.lastgroup}")(part[0], time_us)
            elif _MAY_GO_ON.fullmatch(text, at):
                self._begun = text[at:]
                return
            else:  # no escape sequence after all
                self._put(_REPLACED, time_us)
                at += 1

    def masked(self, line: Line, *, is_open: bool) -> str:
        """Its text as it may leave the host; of an open one without a word that is being printed, which may be half a
        secret."""
        if is_open:
            return mask_text(_WORD_BEING_PRINTED.sub("", line.text) if self._column >= len(line.text) else line.text)
        if line.number > self._masked_to:
            self._masked_to = line.number
            return self._masker.mask(line.text)
        return mask_text(line.text)

    # -- what there is in output

    def _text(self, text: str, time_us: int) -> None:
        self._put_lines(text, time_us)

    def _control(self, control: str, time_us: int) -> None:
        if control == "\n":
            self._newline(time_us)
        elif control == "\r":
            self._column = 0
        elif control == "\b":
            self._column = max(0, self._column - 1)
        elif control in "\x00\x7f\u2028\u2029" or control >= "\x80":
            self._put(_REPLACED, time_us)
        # What is left moves nothing that is kept: bell, shift in, shift out.

    def _csi(self, sequence: str, time_us: int) -> None:
        count = sequence[2:-1]
        number = int(count) if count.isdecimal() and len(count) < 6 else 0
        match sequence[-1]:
            case "m":
                self._codes = (
                    sgr.after(self._codes, count) if count.isascii() and _SGR.fullmatch(count) else self._codes
                )
            case "K":
                self._erase(number, time_us)
            case "A" | "F":
                self._row = max(0, self._row - max(1, number))
                self._column = 0 if sequence[-1] == "F" else self._column
            case "B" | "E":
                self._row = min(len(self.rows), self._row + max(1, number))
                self._column = 0 if sequence[-1] == "E" else self._column
            case "C":
                self._column = min(MAX_LINE - 1, self._column + max(1, number))
            case "D":
                self._column = max(0, self._column - max(1, number))
            case "G":
                self._column = min(MAX_LINE - 1, max(0, number - 1))

    def _osc(self, sequence: str, time_us: int) -> None:
        """A title, a link: nothing that is shown."""

    _esc = _osc

    # -- what that does to the lines

    def _put_lines(self, text: str, time_us: int) -> None:
        first, *others = text.split("\n")
        if first:
            self._put(first, time_us)
        for line in others:
            self._newline(time_us)
            if line:
                self._put(line, time_us)

    def _put(self, text: str, time_us: int) -> None:
        while text:
            if self._column >= MAX_LINE:
                self._newline(time_us)
            piece, text = text[: MAX_LINE - self._column], text[MAX_LINE - self._column :]
            line, end = self._line(time_us), self._column + len(piece)
            have = line.text if len(line.text) >= self._column else line.text.ljust(self._column)
            runs = line.runs
            if runs or self._codes:
                runs = sgr.painted(runs, self._column, end, self._codes)
            self._replace(line, have[: self._column] + piece + have[end:], runs, time_us)
            self._column = end

    def _erase(self, what: int, time_us: int) -> None:
        if self._row >= len(self.rows):
            return
        line = self.rows[self._row]
        before, behind = line.text[: self._column], line.text[self._column :]
        if what == 1:
            runs = sgr.painted(line.runs, 0, self._column, "") if line.runs else line.runs
            self._replace(line, " " * len(before) + behind, runs, time_us)
        else:
            self._replace(line, before if what == 0 else "", line.runs, time_us)

    def _replace(self, line: Line, text: str, runs: sgr.Runs, time_us: int) -> None:
        runs = sgr.clipped(runs, len(text)) if runs else runs
        if text != line.text or runs != line.runs:
            line.text, line.runs = text, runs
            line.changed_us = max(line.changed_us, time_us)
            self._screen.changed(line)

    def _newline(self, time_us: int) -> None:
        self._line(time_us)
        self._row += 1
        self._column = 0
        if len(self.rows) > WINDOW:
            gone = len(self.rows) - WINDOW
            del self.rows[:gone]
            self._row = max(0, self._row - gone)

    def _line(self, time_us: int) -> Line:
        while self._row >= len(self.rows):
            self.rows.append(self._screen.line(self._stream, time_us))
        return self.rows[self._row]

    # -- kept over a restart

    def as_dict(self) -> dict[str, Any]:
        pending, flag = self._decoder.getstate()
        return {
            "rows": [
                [line.number, line.time_us, line.changed_us, line.text, sgr.to_text(line.runs), line.dirty]
                for line in self.rows
            ],
            "at": [self._row, self._column],
            "codes": self._codes,
            "decoder": [pending.hex(), flag],
            "begun": self._begun,
            "masked_to": self._masked_to,
            "key_lines": self._masker._key_lines,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for number, time_us, changed_us, text, styles, dirty in state["rows"]:
            line = Line(number, self._stream, time_us)
            line.changed_us, line.text, line.runs, line.dirty = changed_us, text, sgr.from_text(styles), dirty
            self.rows.append(line)
        self._row, self._column = state["at"]
        self._codes = state["codes"]
        pending, flag = state["decoder"]
        self._decoder.setstate((bytes.fromhex(pending), flag))
        self._begun = state["begun"]
        self._masked_to = state["masked_to"]
        self._masker._key_lines = state["key_lines"]
