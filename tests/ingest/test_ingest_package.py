from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["stamina"] = None
try:
    import runstream_ingest
except (ImportError, ValueError) as error:
    print(error)
"""


def test_a_missing_dependency_names_the_line_that_mends_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "pip install 'runstream[server]'" in done.stdout
