"""Two texts beside each other or under each other, with the words that changed marked inside changed lines."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal

from runstream_ui.markup import in_html
from runstream_ui.side_by_side import Pair, pairs

Layout = Literal["side by side", "inline"]

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
# Beyond this, comparing word by word takes longer than anybody waits; the whole line is marked.
_MAX_WORDS = 800
# Lines with less in common are two different lines, and marks inside them would only be noise.
_ALIKE = 0.3


def words_marked(old: str, new: str) -> tuple[str, str]:
    """Both lines as HTML, what only one of them has inside `<del>` and `<ins>`."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    too_long = max(len(before), len(after)) > _MAX_WORDS
    if too_long or matcher.ratio() < _ALIKE:
        return in_html(old), in_html(new)
    left, right = "", ""
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        was, now = in_html("".join(before[a0:a1])), in_html("".join(after[b0:b1]))
        left += was if tag == "equal" or not was else f"<del>{was}</del>"
        right += now if tag == "equal" or not now else f"<ins>{now}</ins>"
    return left, right


def diff_html(old: str, new: str, *, left: str, right: str, layout: Layout) -> str:
    """A table of the lines of both; `left` and `right` head the sides. Changes carry a sign besides their colour."""
    rows = pairs(old, new)
    if layout == "inline":
        return _table([left, right], "".join(_inline(rows)), inline=True)
    return _table([left, right], "".join(_beside(pair) for pair in rows), inline=False)


def changes(old: str, new: str) -> tuple[int, int]:
    """(lines only in `old`, lines only in `new`), a changed line counting as both."""
    found = pairs(old, new, context=0)
    return (
        sum(1 for pair in found if pair.how in {"changed", "removed"}),
        sum(1 for pair in found if pair.how in {"changed", "added"}),
    )


def _table(heads: Sequence[str], body: str, *, inline: bool) -> str:
    number = '<col class="rs-no">'
    if inline:
        columns, titles = f"{number * 2}<col>", f'<th colspan="3" scope="col">{in_html(" → ".join(heads))}</th>'
    else:
        columns = f"{number}<col>" * len(heads)
        titles = "".join(f'<th colspan="2" scope="col">{in_html(head)}</th>' for head in heads)
    return (
        f'<div class="rs-diff rs-words"><table><colgroup>{columns}</colgroup><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _beside(pair: Pair) -> str:
    if pair.how == "hidden":
        return _folded(pair, 4)
    left, right = _texts(pair)
    old, new = ("", "") if pair.how == "same" else ("rs-del", "rs-ins")
    return f"<tr>{_cell(pair.left, left, old, '−')}{_cell(pair.right, right, new, '+')}</tr>"


def _inline(rows: Sequence[Pair]) -> list[str]:
    """Removed lines of a stretch before the added ones, as unified diffs have them."""
    out: list[str] = []
    removed: list[str] = []
    added: list[str] = []
    for pair in [*rows, Pair("hidden")]:
        if pair.how in {"same", "hidden"}:
            out += [*removed, *added]
            removed, added = [], []
            if pair.how == "hidden":
                out += [_folded(pair, 3)] if pair.hidden else []
            elif pair.left and pair.right:
                text = in_html(pair.left[1])
                out.append(f'<tr>{_number(pair.left)}{_number(pair.right)}<td class="">{text}</td></tr>')
            continue
        left, right = _texts(pair)
        if pair.left:
            removed.append(f'<tr>{_number(pair.left)}{_number(None)}<td class="rs-del">{_sign("−")}{left}</td></tr>')
        if pair.right:
            added.append(f'<tr>{_number(None)}{_number(pair.right)}<td class="rs-ins">{_sign("+")}{right}</td></tr>')
    return out


def _texts(pair: Pair) -> tuple[str, str]:
    if pair.how == "changed" and pair.left and pair.right:
        return words_marked(pair.left[1], pair.right[1])
    return in_html(pair.left[1] if pair.left else ""), in_html(pair.right[1] if pair.right else "")


def _cell(line: tuple[int, str] | None, text: str, mark: str, sign: str) -> str:
    if line is None:
        return '<td class="rs-no"></td><td class="rs-none"></td>'
    return f'{_number(line)}<td class="{mark}">{_sign(sign) if mark else ""}{text}</td>'


def _number(line: tuple[int, str] | None) -> str:
    return f'<td class="rs-no">{line[0] if line else ""}</td>'


def _sign(sign: str) -> str:
    return f'<span class="rs-sign" aria-label="{"removed" if sign == "−" else "added"}">{sign}</span>'


def _folded(pair: Pair, columns: int) -> str:
    noun = "line" if pair.hidden == 1 else "lines"
    return f'<tr class="rs-folded"><td colspan="{columns}">{pair.hidden:,} {noun} the same</td></tr>'
