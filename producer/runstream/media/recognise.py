"""Values of other libraries that are kept without being wrapped, known by their types' names."""

from __future__ import annotations

from runstream.media.blob import Media

ROOTS = {"PIL", "matplotlib", "plotly", "pandas", "polars", "pyarrow"}


def kind_of(value: object) -> str | None:
    """`rich` for our own; `pil`, `matplotlib`, `plotly`, `dataframe`; None for anything else."""
    for base in type(value).__mro__:
        if "rich_kind" in base.__dict__:
            return "rich"
        root = base.__module__.partition(".")[0]
        if root in ROOTS:
            return _known(root, base.__name__, value)
    if getattr(value, "__name__", "") == "matplotlib.pyplot":
        return "matplotlib"
    return None


def _known(root: str, name: str, value: object) -> str | None:
    if root == "PIL":
        return "pil" if hasattr(value, "convert") and hasattr(value, "size") else None
    if root == "matplotlib":
        return "matplotlib" if hasattr(value, "savefig") else None
    if root == "plotly":
        return "plotly" if hasattr(value, "to_json") and hasattr(value, "to_html") else None
    return "dataframe" if name in ("DataFrame", "Table") else None


def media_of(value: object) -> Media:
    """The rich value that stands for `value`, which has a kind and is no Histogram or Text."""
    kind = kind_of(value)
    if kind == "pil":
        from runstream.media.images import Image

        return Image(value)
    if kind in ("matplotlib", "plotly"):
        from runstream.media.figures import Figure

        return Figure(value)
    if kind == "dataframe":
        from runstream.media.tables import Table

        return Table(data=value)
    if not isinstance(value, Media):
        raise TypeError(f"{type(value).__name__} is no picture, sound, video, table, figure, file or 3D object")
    return value
