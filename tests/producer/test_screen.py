"""Console lines: what a terminal would show, a pure function of the bytes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream.agent.screen import MAX_LINE, SHOW_OPEN_S, WINDOW, Screen
from runstream.sgr import MAX_RUNS

OUT, ERR = 1, 2
Lines = dict[int, tuple[int, str]]


def shown(*writes: tuple[int, bytes]) -> Lines:
    """Number to (stream, text) at the end."""
    screen = Screen()
    for i, (stream, data) in enumerate(writes):
        screen.write(stream, i, data)
    return {line.number: (line.stream, text) for line, text in screen.take(0.0, everything=True)}


def texts(*writes: bytes) -> list[str]:
    return [text for _, text in shown(*((OUT, data) for data in writes)).values()]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"a\nb\n\nc", ["a", "b", "", "c"]),
        (b"windows\r\nlines\r\n", ["windows", "lines"]),
        (b" 10%\r 20%\r100%\n", ["100%"]),
        (b"long text\rab", ["abng text"]),
        (b"long text\r\x1b[Kab", ["ab"]),
        (b"long text\x1b[2K\rab", ["ab"]),
        (b"abc\b\bX\n", ["aXc"]),
        (b"\x1b[1;31mred\x1b[0m plain\n", ["red plain"]),
        (b"\x1b]0;title\x07\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", ["link"]),
        (b"\x1b(B\x1b=x", ["x"]),
        (b"0: a\n1: b\x1b[A\r0: A\n\r1: B\x1b[A\n\nend", ["0: A", "1: B", "end"]),
        (b"a\tb\n", ["a\tb"]),
        (b"nul\x00 bell\x07 \xff\xfe\n", ["nul\ufffd bell \ufffd\ufffd"]),
        ("über 猫 🙂\n".encode(), ["über 猫 🙂"]),
        (b"\x1b\x1b[31mx\x1bQ", ["\ufffdx"]),
        (b"far\x1b[5Cright\x1b[1G>", [">ar     right"]),
    ],
)
def test_output_is_shown_as_a_terminal_does(written: bytes, lines: list[str]) -> None:
    assert texts(written) == lines
    assert texts(*(bytes([byte]) for byte in written)) == lines


def test_a_progress_bar_and_printed_lines_have_lines_of_their_own() -> None:
    assert shown((ERR, b"\r 10%"), (OUT, b"epoch 1\n"), (ERR, b"\r 90%"), (ERR, b"\r100%\n"), (OUT, b"done\n")) == {
        0: (ERR, "100%"),
        1: (OUT, "epoch 1"),
        2: (OUT, "done"),
    }


def test_a_line_without_end_is_cut_into_pieces_and_nothing_is_lost() -> None:
    written = bytes(65 + i % 26 for i in range(MAX_LINE * 2 + 5))
    lines = texts(written[:7], written[7:])
    assert [len(line) for line in lines] == [MAX_LINE, MAX_LINE, 5]
    assert "".join(lines).encode() == written


PIECES = st.sampled_from(
    [
        b"a",
        b"bc",
        b"\n",
        b"\r",
        b"\b",
        b"\x1b[A",
        b"\x1b[2A",
        b"\x1b[K",
        b"\x1b[31m",
        b"\x1b",
        b"[",
        b"\xe2\x82\xac",
        b"\0",
    ]
)


@given(pieces=st.lists(PIECES | st.binary(max_size=4), max_size=60), cuts=st.lists(st.integers(0, 200)), at=st.data())
@settings(max_examples=150, deadline=None)
def test_lines_depend_neither_on_chunks_nor_on_a_restart(
    pieces: list[bytes], cuts: list[int], at: st.DataObject
) -> None:
    written = b"".join(pieces)
    whole = shown((OUT, written))
    places = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})
    screen, lines = Screen(), {}
    restarts = at.draw(st.sets(st.integers(0, len(places))))
    for i, (start, end) in enumerate(pairwise(places)):
        screen.write(OUT, 0, written[start:end])
        lines |= {line.number: (line.stream, text) for line, text in screen.take(float(i))}
        if i in restarts:
            screen = Screen.from_dict(json.loads(json.dumps(screen.as_dict())))
    lines |= {line.number: (line.stream, text) for line, text in screen.take(1e9, everything=True)}
    assert lines == whole


def test_a_line_that_changes_is_sent_at_most_every_two_seconds_under_its_number() -> None:
    screen, sent = Screen(), []
    for tick in range(100):
        screen.write(ERR, tick, b"\r%d it" % tick)
        sent += [(tick, line.number, text) for line, text in screen.take(tick / 10)]
    screen.write(ERR, 100, b"\r100 it\n")
    sent += [(100, line.number, text) for line, text in screen.take(10.0)]
    assert {number for _, number, _ in sent} == {0}
    assert all(later - earlier >= 10 * SHOW_OPEN_S for (earlier, *_), (later, *_) in pairwise(sent[:-1]))
    assert 4 <= len(sent) <= 6
    assert sent[-1] == (100, 0, "100 it")


def test_a_printed_line_is_sent_at_once_and_keeps_when_it_began() -> None:
    screen = Screen()
    screen.write(OUT, 5, b"half")
    assert screen.take(0.0) == []
    screen.write(OUT, 9, b" whole\n")
    ((line, text),) = screen.take(0.1)
    assert (line.time_us, line.changed_us, text) == (5, 9, "half whole")
    assert not screen.waits


def test_bars_that_left_the_window_are_sent_all_the_same() -> None:
    screen = Screen()
    screen.write(OUT, 0, b"bar 0\nbelow\n")
    screen.take(0.0)
    screen.write(OUT, 1, b"\x1b[2Abar 1\r\n\n" + b"x\n" * (WINDOW + 2))
    assert (0, "bar 1") in [(line.number, text) for line, text in screen.take(0.1)]


def test_secrets_are_masked_also_a_key_of_many_lines_and_half_a_word() -> None:
    token = b"hf_" + b"abcdefghijklmnopqrstuvwxyz" + b"123456"
    lines = texts(
        b"token " + token + b"\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nafter"
    )
    assert lines[0] == "token ***"
    assert "MIIabc" not in "".join(lines)
    assert lines[-1] == "after"
    screen = Screen()
    screen.write(OUT, 0, b"token " + token[:15])
    screen.take(0.0)
    assert [text for _, text in screen.take(SHOW_OPEN_S)] == ["token "]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"\x1b[1;31mred\x1b[0m plain\n", [("red plain", "0:1;31 3:")]),
        (b"a \x1b[32mb\x1b[m\n\x1b[38;5;208mc", [("a b", "2:32"), ("c", "0:38;2;255;135;0")]),
        (b"\x1b[33mtwo\nlines\x1b[39m.", [("two", "0:33"), ("lines.", "0:33 5:")]),
        (b"\x1b[31m 10%\r\x1b[32m100%", [("100%", "0:32")]),
        (b"\x1b[31mabcdef\x1b[0m\rAB\n", [("ABcdef", "2:31")]),
        (b"\x1b[31mabcdef\x1b[4D\x1b[K\n", [("ab", "0:31")]),
        (b"\x1b[31mabcdef\x1b[3D\x1b[1K\n", [("   def", "3:31")]),
        (b"\x1b[31m\x1b[31mx\x1b[5m\x1b[?25hy\x1b[>4;2m", [("xy", "0:31")]),
        (b"same\r\x1b[32msame\n", [("same", "0:32")]),
    ],
)
def test_colours_are_kept_beside_the_text(written: bytes, lines: list[tuple[str, str]]) -> None:
    for chunks in ([written], [bytes([byte]) for byte in written]):
        screen, sent = Screen(), {}
        for chunk in chunks:
            screen.write(OUT, 0, chunk)
            sent |= {line.number: (text, line.styles(text)) for line, text in screen.take(0.0)}
            screen = Screen.from_dict(json.loads(json.dumps(screen.as_dict())))
        sent |= {line.number: (text, line.styles(text)) for line, text in screen.take(0.0, everything=True)}
        assert list(sent.values()) == lines


def test_a_secret_that_colours_cut_is_masked_and_the_rest_keeps_its_colours() -> None:
    screen = Screen()
    screen.write(
        OUT, 0, b"\x1b[1mtoken\x1b[0m hf_abcdef\x1b[31mghijklmnopqrst\x1b[32muvwxyz\x1b[0m123456 \x1b[34mend\n"
    )
    ((line, text),) = screen.take(0.0)
    assert (text, line.styles(text)) == ("token *** end", "0:1 5: 10:34")


def test_the_colours_of_a_line_are_bounded() -> None:
    screen = Screen()
    screen.write(OUT, 0, b"".join(b"\x1b[3%dm%d" % (i % 2 + 1, i % 10) for i in range(2000)) + b"\n")
    ((line, text),) = screen.take(0.0)
    assert len(text) == 2000
    assert len(line.styles(text).split()) <= MAX_RUNS


def test_a_remark_is_a_line_of_its_own() -> None:
    screen = Screen()
    screen.write(OUT, 0, b"half a line")
    screen.say(OUT, 1, "5 bytes are left out")
    screen.write(OUT, 2, b"more")
    assert [text for _, text in screen.take(0.0, everything=True)] == [
        "half a line",
        "[runstream: 5 bytes are left out]",
        "more",
    ]
