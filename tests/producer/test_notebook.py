"""A real Jupyter kernel: what its cells print, and which cells there were."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .companions import recorded

NOTEBOOK = """
import json
from jupyter_client.manager import KernelManager

os.environ.pop("PYTEST_CURRENT_TEST", None)  # ipykernel does not look at descriptors where it is set

CELLS = (
    "import os, runstream\\nrun = runstream.init()",
    "print('cell', run.name)\\nrun.log({'loss': 1.0})\\nos.system('echo from a child')",
    "password = 'hunter2-and-more'",
    "1 / 0",
    "print('\\x1b[31mlast\\x1b[0m')\\nrun.finish()",
    "print('after')\\nprint(run.spool)",
)
kernel = KernelManager()
kernel.start_kernel()
client = kernel.client()
client.start_channels()
try:
    client.wait_for_ready(60)
    shown = []
    for cell in CELLS:
        client.execute_interactive(
            cell, timeout=60, output_hook=lambda message: shown.append(message["content"].get("text", ""))
        )
finally:
    client.stop_channels()
    kernel.shutdown_kernel(now=True)
print(json.dumps("".join(shown)))
"""


def test_a_kernel_shows_and_records_its_cells_and_they_are_kept_as_code(
    python: Callable[..., Any], held: Callable[..., Any]
) -> None:
    done = python(
        NOTEBOOK,
        RUNSTREAM_MODE="offline",
        RUNSTREAM_CAPTURE="1",
        RUNSTREAM_CONSOLE="auto",
        RUNSTREAM_QUIET="1",
        IPYTHONDIR=os.environ["RUNSTREAM_DIR"] + "/ipython",
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    directory = Path(shown.strip().splitlines()[-1])
    written = b"".join(recorded(directory).streams.values())
    for text in ("cell ", "from a child", "\x1b[31mlast\x1b[0m"):
        assert shown.count(text) == written.decode().count(text) == 1, (text, shown, written)
    assert b"after" not in written
    run = held(directory)
    (code,) = [event for event in run.of("ArtifactStaged") if event["name"] == "source-code"]
    history = (directory / code["stage"] / "notebook.py").read_text()
    assert "run = runstream.init()" in history
    assert "# %% [4]\n1 / 0" in history
    assert "hunter2" not in history
    assert [event["state"] for event in run.of("RunFinished")] == ["finished"]
