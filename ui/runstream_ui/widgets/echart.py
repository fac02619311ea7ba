"""ECharts on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def echart(
    options: Mapping[str, Any],
    *,
    key: str,
    height_px: int,
    events: Mapping[str, str] | None = None,
    on_change: Callable[[], None] | None = None,
) -> None:
    """Draw `options`; `events` are JavaScript handlers whose answer is `st.session_state[key].chart_event`."""
    # The library declares its component to the running server, so it cannot be imported before there is one.
    from streamlit_echarts import st_echarts

    st_echarts(dict(options), height=f"{height_px}px", key=key, events=dict(events or {}), on_change=on_change)
