"""Writes the golden file of each schema version that has none yet: `python tests/producer/golden/write.py`.

A golden file is never rewritten: it is what some release has put into people's topics.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from runstream import events

HERE = Path(__file__).parent
HEAD = {
    "project": "digits",
    "run_id": "019a0000-0000-7000-8000-00000000002a",
    "writer_id": 2**63 - 1,
    "attempt": 1,
    "rank": 7,
}
CONTROL = {**HEAD, "seq": 300, "time_us": 1764000000123456, "actor": "ann@gpu-1"}
VALUES = [
    {"name": "lr", "kind": "float", "text": "0.001", "number": 0.001},
    {"name": "loss/größe", "kind": "float", "text": "NaN", "number": math.nan},
    {"name": "layers", "kind": "json", "text": "[1, 2]", "number": None},
]
EXAMPLES: dict[str, dict[str, Any]] = {
    "MetricFrame": {
        **HEAD,
        "first_seq": 8191,
        "rows": 4,
        "blocks": [
            {
                "at": [0, 1, 3],
                "metrics": ["loss", "acc"],
                "steps": [-1, 0, 2**40],
                "times_us": [1764000000000000, 1764000000000001, 1764000000000003],
                "values": [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1],
                "n": [3, 3],
                "n_nan": [1, 0],
                "n_inf": [1, 1],
            },
            {
                "at": [2],
                "metrics": ["lr"],
                "steps": [7],
                "times_us": [1764000000000002],
                "values": [0.001],
                "n": [1],
                "n_nan": [0],
                "n_inf": [0],
            },
        ],
    },
    "RunStarted": {
        **CONTROL,
        "name": "brave-river",
        "external_id": "sweep/3",
        "created_us": 1764000000123456,
        "group": "sweep",
        "job_type": "train",
        "notes": "first try\nwith 8 ranks",
        "tags": ["a", "b"],
        "parent_run": "",
        "forked_from": "019a0000-0000-7000-8000-000000000029",
        "fork_step": 4096,
        "user": "ann",
        "host": "gpu-1",
        "pid": 4242,
        "command": ["python", "train.py"],
        "cwd": "/home/ann",
        "python": "3.12.1",
        "platform": "Linux",
        "client_version": "0.1.0",
        "git": {"commit": "58b1b16", "dirty": "false"},
        "environment": {"RANK": "7"},
        "machine": {"cpu_count": "64"},
        "packages": {"numpy": "2.1.0"},
    },
    "RunFinished": {**CONTROL, "state": "failed", "exit_code": -11, "reason": "SIGSEGV", "metric_seq": 1000},
    "RunRewound": {**CONTROL, "step": -1},
    "Params": {**CONTROL, "values": VALUES},
    "Summary": {**CONTROL, "values": VALUES},
    "Attributes": {**CONTROL, "values": {"name": "better name", "tag:old": None}},
    "MetricDefined": {
        **CONTROL,
        "pattern": "val/*",
        "x_axis": "epoch",
        "summary": ["min", "last"],
        "goal": "minimize",
        "hidden": True,
        "unit": "nats",
    },
    "ArtifactLogged": {
        **CONTROL,
        "name": "model",
        "type": "model",
        "digest": "ab" * 32,
        "size": 10,
        "files": [{"path": "a/b.pt", "sha256": "cd" * 32, "size": 10, "mime": "application/octet-stream"}],
        "aliases": ["best"],
        "metadata": '{"epoch": 3}',
        "description": "after epoch 3",
    },
    "ArtifactUsed": {
        **CONTROL,
        "name": "data",
        "version": "latest",
        "digest": "ef" * 32,
        "artifact_project": "shared",
    },
    "ModelEdited": {
        **CONTROL,
        "model": "digits",
        "action": "stage",
        "artifact": "model",
        "digest": "ab" * 32,
        "value": "production",
        "note": "0.99 on the held-out set",
        "artifact_project": "shared",
    },
    "EventAwaited": {
        **CONTROL,
        "kind": "ArtifactLogged",
        "name": "model",
        "type": "model",
        "files": 2,
        "size": 1 << 30,
        "lost": "its staged file is gone",
    },
    "MediaStored": {**CONTROL, "seq": -1, "stored": ["ab" * 32, "0f" * 32], "lost": ["cd" * 32]},
    "Heartbeat": {**CONTROL, "seq": -1, "metric_seq": 999, "spooled_bytes": 1 << 20},
}


def main() -> None:
    for schema in events.registry().latest.values():
        message = HERE / f"{schema.kind}.v{schema.version}.avro"
        if not message.exists():
            message.write_bytes(events.encode(schema.kind, EXAMPLES[schema.kind]))
            text = json.dumps(EXAMPLES[schema.kind], indent=1, ensure_ascii=False)
            message.with_suffix(".json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
