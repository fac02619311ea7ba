"""How params and metrics of runs hang together: parallel coordinates and a scatter of any two columns."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.filters.columns import metric_column, param_column
from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, urls
from runstream_ui.columns import AGGREGATES, defaults, described
from runstream_ui.relations import Axis, axis_of, parallel_options, scatter_options
from runstream_ui.widgets.echart import echart

_MAX_AXES = 10
_PARALLEL_PX, _SCATTER_PX = 420, 400


def parallel(project: str, run_ids: tuple[str, ...]) -> None:
    """Axes are chosen as columns are; drag along an axis to keep the runs that pass there."""
    offered, standard = _offered(project)
    st.session_state["parallel-axes"] = [text for text in urls.get_list("axes") or standard if text in offered]
    st.multiselect(
        "Axes",
        offered,
        key="parallel-axes",
        format_func=lambda text: text.removeprefix("config."),
        placeholder="Choose params and metrics",
        label_visibility="collapsed",
        max_selections=_MAX_AXES,
        select_all=False,
        on_change=lambda: urls.put_list("axes", st.session_state["parallel-axes"]),
    )
    texts = st.session_state["parallel-axes"]
    if len(texts) < 2:
        st.markdown("Choose at least two params or metrics.")
        return
    runs = data.chosen_runs(project, run_ids, tuple(texts))
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    options = parallel_options(runs, labels, [_axis(text, runs) for text in texts])
    drawn = len(options["series"][0]["data"])
    left_out = f" · {len(runs) - drawn} without one of the values left out" if drawn < len(runs) else ""
    st.html(
        f'<div class="rs-line">{formats.plural(drawn, "run")}, coloured by the last axis{left_out} · drag along '
        "an axis to keep the runs that pass there, click it to let go</div>"
    )
    echart(options, key="parallel", height_px=_PARALLEL_PX)


def scatter(project: str, run_ids: tuple[str, ...]) -> None:
    """Any two columns against each other."""
    offered, standard = _offered(project)
    if not offered:
        st.markdown("These runs have no params and no metrics yet.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="scatter-row"):
        across = _pick("Across", "scatter-x", "sx", offered, standard[0] if standard else offered[0])
        up = _pick("Up", "scatter-y", "sy", offered, standard[-1] if standard else offered[-1])
    runs = data.chosen_runs(project, run_ids, tuple(dict.fromkeys((across, up))))
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    echart(scatter_options(runs, labels, _axis(across, runs), _axis(up, runs)), key="scatter", height_px=_SCATTER_PX)


def _offered(project: str) -> tuple[list[str], list[str]]:
    """(all columns, those to begin with: params that tell runs apart, then the metric that decides)."""
    names, definitions = data.names(project), data.definitions(project)
    params = [param_column(param.name) for param in names.params]
    metrics = [metric_column(metric.name, kind) for kind in AGGREGATES for metric in names.metrics]
    standard = defaults(names, data.varying_params(project), definitions)
    decisive = [text for text in standard if described(text).aggregate][:1]
    return params + metrics, [text for text in standard if not described(text).aggregate] + decisive


def _pick(label: str, key: str, name: str, offered: Sequence[str], standard: str) -> str:
    linked = urls.get(name) or standard
    st.session_state[key] = linked if linked in offered else offered[0]
    st.selectbox(
        label,
        offered,
        key=key,
        format_func=lambda text: text.removeprefix("config."),
        width=300,
        on_change=lambda: urls.put(name, st.session_state[key]),
    )
    return str(st.session_state[key])


def _axis(text: str, runs: Sequence[RunRow]) -> Axis:
    column = described(text)
    label = f"{column.aggregate}({column.label})" if column.aggregate else column.label
    return axis_of(text, label, [run.values.get(text) for run in runs])
