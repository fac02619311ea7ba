"""A simple chart of a query's answer: which column goes across, which go up."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import streamlit as st

from runstream_ui.charts import rounded
from runstream_ui.markup import in_chart
from runstream_ui.widgets.echart import echart

_POINTS = 2_000
_SERIES = 12


def show(result: pa.Table) -> None:
    """Choices and the chart; says what is missing when no column is a number."""
    numeric = [field.name for field in result.schema if _is_number(field.type)]
    if not numeric or not result.num_rows:
        st.markdown("A chart needs rows and at least one column of numbers.")
        return
    names = result.column_names
    across = next((name for name in names if name not in numeric), names[0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.segmented_control("Kind", ["line", "scatter", "bar"], default="line", required=True, key="sql-kind")
        x = st.selectbox("Across", names, index=names.index(across), key="sql-x", width=220)
        rest = [name for name in numeric if name != x] or numeric
        y = st.multiselect(
            "Up", rest, default=rest[:1], key="sql-y", width=420, max_selections=_SERIES, select_all=False
        )
    if not y or x is None:
        st.markdown("Choose at least one column to go up.")
        return
    if result.num_rows > _POINTS:
        st.caption(f"The first {_POINTS:,} rows are drawn.")
    echart(options(result.slice(0, _POINTS), kind or "line", x, y), height_px=380, key="sql-chart")


def options(result: pa.Table, kind: str, x: str, y: list[str]) -> dict[str, Any]:
    """ECharts options; column names and values in them are inert."""
    along = result.column(x)
    if pa.types.is_timestamp(along.type) or pa.types.is_date(along.type):
        axis: dict[str, Any] = {"type": "time"}
        across: list[Any] = [None if value is None else value.isoformat() for value in along.to_pylist()]
    elif _is_number(along.type) and kind != "bar":
        axis = {"type": "value", "scale": True}
        across = _numbers(along)
    else:
        axis = {"type": "category", "data": [str(value) for value in along.to_pylist()]}
        across = list(range(result.num_rows))
    series = [
        {
            "type": kind,
            "name": name,
            "data": [list(pair) for pair in zip(across, _numbers(result.column(name)), strict=True)],
            "showSymbol": result.num_rows <= 100,
            "symbolSize": 6,
        }
        for name in y
    ]
    drawn = {
        "animation": False,
        "aria": {"enabled": True},
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"type": "scroll", "top": 0},
        "tooltip": {"trigger": "item" if kind == "scatter" else "axis"},
        "xAxis": {**axis, "name": x, "nameLocation": "middle", "nameGap": 28},
        "yAxis": {"type": "value", "scale": kind != "bar"},
        "series": series,
    }
    return in_chart(drawn)  # type: ignore[no-any-return]


def _numbers(column: pa.ChunkedArray) -> list[float | None]:
    return rounded(column.cast(pa.float64(), safe=False).to_numpy())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
