"""The examples of docs/values.md are one program, and it does what the page says."""

import os
import re
from pathlib import Path
from typing import Any

from runstream.media import table_format
from runstream.media.tables import MAX_CELL_BYTES, MAX_CELLS, MAX_COLUMNS, MAX_ROWS

PAGE = (Path(__file__).parents[2] / "docs" / "values.md").read_text()


def test_the_examples_run_without_a_warning(python: Any, all_held: Any) -> None:
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = python(program, MPLCONFIGDIR=os.environ.get("TMPDIR", "/tmp"), RUNSTREAM_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stderr
    (held,) = all_held()
    kinds = {event["kind"] for event in held.of("MediaStaged")}
    assert kinds == {"image", "audio", "video", "table", "html", "figure", "file", "object3d"}
    assert len(held.of("TextLogged")) == 2
    assert len(held.of("HistogramLogged")) == 5
    assert held.series("loss") == [(0, 0.5)]


def test_the_page_names_the_limits_and_the_format() -> None:
    assert f"{MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_CELLS:,} cells" in PAGE
    assert f"{MAX_CELL_BYTES >> 10} KiB are cut" in PAGE
    assert table_format.MIME in PAGE
    for kind in table_format.TYPES:
        assert f"`{kind}`" in PAGE
