"""Tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def new_table(*names: str, right: tuple[str, ...] = ()) -> Table:
    from rich.table import Table

    table = Table(show_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Names are people's words: rich must not read markup in them."""
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def figure(value: object) -> str:
    """Four significant digits for floats; `--json` has the exact value."""
    if value is None:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
