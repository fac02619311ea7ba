"""Rich values, console lines and machine samples of a run, written straight into ClickHouse and the object store.

Also by hand: `python tests/ui/values_data.py http://user:password@host:port/database /objects`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from runstream.agent.screen import Screen
from runstream.objects import ObjectStore, object_key, open_store
from runstream_storage.connection import connect

_US = 1_000_000
_CLASSES = {"0": "background", "1": "cat", "2": "a dog with a name that is much longer than any label should be"}


class Values:
    """Adds values to runs of `project`; the times are those of `steps` steps in 44 s, as `project_data.fill` has."""

    def __init__(self, url: str, store: ObjectStore, project: str = "digits", *, steps: int = 200) -> None:
        self._client = connect(url)
        self._store = store
        self._project = project
        self._steps = steps
        self._kept: set[str] = set()
        self._pending: dict[str, list[dict[str, object]]] = {}

    def close(self) -> None:
        """Writes what was added."""
        for table, rows in self._pending.items():
            if not rows:
                continue
            self._client.insert(table, [list(row.values()) for row in rows], column_names=list(rows[0]))
        self._client.close()

    def media(
        self,
        run_id: str,
        name: str,
        step: int,
        content: bytes,
        *,
        kind: str,
        mime: str,
        index: int = 0,
        rank: int = 0,
        caption: str = "",
        metadata: dict[str, object] | None = None,
        state: str = "stored",
    ) -> str:
        """The sha256 of what was kept; in another state than stored, the store has no bytes."""
        sha256 = self.keep(content) if state == "stored" else hashlib.sha256(content).hexdigest()
        row = {
            "name": name,
            "rank": rank,
            "step": step,
            "idx": index,
            "ts_us": self._at_us(run_id, step),
            "kind": kind,
            "sha256": sha256,
            "size": len(content),
            "mime": mime,
            "caption": caption,
            "metadata": json.dumps(metadata or {}),
            "writer": 1,
            "ver": self._ver(run_id, step),
        }
        self._insert("media", run_id, [row])
        if state != "pending":
            became = {"sha256": sha256, "state": state, "ts_us": row["ts_us"], "ver": row["ver"]}
            self._insert("media_contents", run_id, [became])
        return sha256

    def arrives(self, run_id: str, content: bytes) -> None:
        """Bytes that were on their way are in the store now."""
        event = {"sha256": self.keep(content), "state": "stored", "ts_us": self._at_us(run_id, self._steps)}
        self._insert("media_contents", run_id, [event | {"ver": self._ver(run_id, self._steps)}])

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 in self._kept:
            return sha256
        self._kept.add(sha256)
        self._store.put_bytes(object_key(sha256), content)
        return sha256

    def table(
        self, run_id: str, name: str, step: int, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]]
    ) -> None:
        named = [{"name": column, "type": kind} for column, kind in columns]
        head = {"runstream": "table", "version": 1, "columns": named, "rows": len(rows)}
        lines = [json.dumps(head), *(json.dumps(list(row)) for row in rows)]
        content = ("\n".join(lines) + "\n").encode()
        mime = "application/vnd.runstream.table+jsonl"
        metadata: dict[str, object] = {"columns": named, "rows": len(rows)}
        self.media(run_id, name, step, content, kind="table", mime=mime, metadata=metadata)

    def texts(self, run_id: str, name: str, by_step: dict[int, str], *, mime: str = "text/plain") -> None:
        rows = [
            {
                "name": name,
                "rank": 0,
                "step": step,
                "ts_us": self._at_us(run_id, step),
                "text": text,
                "mime": mime,
                "writer": 1,
                "ver": self._ver(run_id, step),
            }
            for step, text in by_step.items()
        ]
        self._insert("text_series", run_id, rows)

    def histograms(self, run_id: str, name: str, by_step: dict[int, tuple[list[float], list[float]]]) -> None:
        rows = [
            {
                "name": name,
                "rank": 0,
                "step": step,
                "ts_us": self._at_us(run_id, step),
                "edges": edges,
                "counts": counts,
                "n_nan": 0,
                "n_inf": 0,
                "writer": 1,
                "ver": self._ver(run_id, step),
            }
            for step, (edges, counts) in by_step.items()
        ]
        self._insert("histograms", run_id, rows)

    def console(self, run_id: str, texts: Sequence[str], *, rank: int = 0, every_us: int = 0, first: int = 0) -> None:
        """A line each, evenly over the run, `every_us` apart when given; those that begin with `!` go to stderr."""
        every = every_us or 44 * _US // max(1, len(texts))
        screen = Screen()
        screen.write(1, 0, "".join(f"{text.removeprefix('!')}\n" for text in texts).encode())
        shown = [(text, line.styles(text)) for line, text in screen.take(0.0, everything=True)]
        start = self._at_us(run_id, 0)
        rows = [
            {
                "rank": rank,
                "writer": rank + 1,
                "line": first + place,
                "ts_us": start + (first + place) * every,
                "stream": 2 if text.startswith("!") else 1,
                "text": plain,
                "styles": styles,
                "attempt": 0,
                "ver": self._ver(run_id, first + place),
            }
            for place, (text, (plain, styles)) in enumerate(zip(texts, shown, strict=True))
        ]
        self._insert("console", run_id, rows)

    def samples(
        self, run_id: str, node: str, metric: str, values: Sequence[float], *, device: str = "", rank: int = 0
    ) -> None:
        """Samples evenly over the run."""
        start, every = self._at_us(run_id, 0), 44 * _US // max(1, len(values))
        rows = [
            {
                "node": node,
                "metric": metric,
                "device": device,
                "rank": rank,
                "ts_us": start + place * every,
                "value": value,
                "ver": self._ver(run_id, place),
            }
            for place, value in enumerate(values)
        ]
        self._insert("system_points", run_id, rows)

    def _insert(self, table: str, run_id: str, rows: Sequence[dict[str, object]]) -> None:
        mine = [{"project": self._project, "run_id": run_id, **row} for row in rows]
        self._pending.setdefault(table, []).extend(mine)

    def _at_us(self, run_id: str, step: int) -> int:
        created_us = (int(run_id.replace("-", ""), 16) >> 80) * 1000
        return created_us + step * 44 * _US // self._steps

    def _ver(self, run_id: str, place: int) -> int:
        return (self._at_us(run_id, 0) - 1_735_689_600_000_000 + place) << 6 | 1


def fill_values(
    url: str, store: ObjectStore, run_ids: Sequence[str], *, project: str = "digits", steps: int = 200
) -> None:
    """Something of every kind, for each of the runs."""
    values = Values(url, store, project, steps=steps)
    for place, run_id in enumerate(run_ids):
        rng = random.Random(place)
        _pictures(values, run_id, place, steps)
        _others(values, run_id, place, steps)
        _tables(values, run_id, place, steps)
        _texts(values, run_id, place, steps)
        for layer in range(3):
            for kind in ("gradients", "weights"):
                values.histograms(run_id, f"{kind}/layer{layer}.weight", _bells(rng, steps, wide=kind == "weights"))
        values.histograms(run_id, "val/confidence", _bells(rng, steps, wide=True))
        values.console(run_id, _lines(rng, 3_000))
        values.console(run_id, [f"[rank 1] waiting for all-reduce {n}" for n in range(120)], rank=1)
        for node in ("node-1", "node-2"):
            _machine(values, run_id, node, rng)
    values.close()


def _pictures(values: Values, run_id: str, place: int, steps: int) -> None:
    for step in range(0, steps, max(1, steps // 20)):
        shift = step * 24 // steps + place * 3
        boxes = [
            {
                "set": "predictions",
                "x": 0.1 + 0.3 * step / steps,
                "y": 0.2,
                "width": 0.4,
                "height": 0.5,
                "class": 1,
                "score": 0.93,
            },
            {"set": "truth", "x": 0.4, "y": 0.25, "width": 0.35, "height": 0.5, "class": 1},
            {"set": "truth", "x": 0.05, "y": 0.02, "width": 0.2, "height": 0.2, "class": 2},
        ]
        mask = png(
            48, 32, lambda x, y, shift=shift: 1 if (x - 10 - shift) ** 2 + (y - 16) ** 2 < 90 else 2 if y > 26 else 0
        )
        sha256 = values.media(run_id, "val/detections/masks/predictions", step, mask, kind="image", mime="image/png")
        metadata: dict[str, object] = {
            "width": 48,
            "height": 32,
            "boxes": boxes,
            "classes": _CLASSES,
            "masks": {"predictions": {"sha256": sha256, "classes": _CLASSES}},
        }
        picture = png(
            48, 32, lambda x, y, shift=shift: (x * 5 + shift * 4) % 256 if (x // 8 + y // 8) % 2 else 40 + y * 5
        )
        values.media(
            run_id,
            "val/detections",
            step,
            picture,
            kind="image",
            mime="image/png",
            caption="a <b>cat</b> on a grid",
            metadata=metadata,
        )
    for step in range(0, steps, max(1, steps // 5)):
        for index in range(10):
            digit = png(28, 28, lambda x, y, n=index + step: 255 if (x * n + y * 3) % 17 < 5 else 30)
            values.media(
                run_id,
                "val/samples",
                step,
                digit,
                kind="image",
                mime="image/png",
                index=index,
                caption=f"label {index}, predicted {index * 3 % 10}",
                metadata={"width": 28, "height": 28},
            )


def _others(values: Values, run_id: str, place: int, steps: int) -> None:
    for step in (0, steps // 2):
        page = (
            f"<h1>Report of step {step}</h1><p>Runs its own <b>scripts</b>.</p><p id=out>no script</p>"
            "<script>document.getElementById('out').textContent = 'script ran'</script>"
        )
        values.media(run_id, "report", step, page.encode(), kind="html", mime="text/html", caption="made by the run")
        values.media(
            run_id,
            "audio/tone",
            step,
            wav(220 * (place + 1) + step),
            kind="audio",
            mime="audio/wav",
            caption="a tone",
            metadata={"sample_rate": 8000, "duration_s": 0.5, "channels": 1},
        )
        figure = {
            "data": [{"type": "scatter", "mode": "lines", "y": [math.sin((n + step + place) / 5) for n in range(60)]}],
            "layout": {"title": {"text": "ROC"}},
        }
        values.media(
            run_id,
            "plots/roc",
            step,
            json.dumps(figure).encode(),
            kind="figure",
            mime="application/vnd.plotly.v1+json",
            metadata={"library": "plotly"},
        )
        values.media(
            run_id,
            "plots/matplotlib",
            step,
            b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 120" width="300" height="120">'
            b"<style>path{stroke:#2b86d9;fill:none;stroke-width:3}</style>"
            b"<path d='M10 100 C 80 10 200 130 290 20'/></svg>",
            kind="figure",
            mime="image/svg+xml",
            metadata={"library": "matplotlib", "width": 300, "height": 120},
        )
        cloud = ply(
            [(math.cos(n / 40) * (1 + n / 1500), math.sin(n / 40) * (1 + n / 1500), n / 700) for n in range(1500)]
        )
        values.media(run_id, "scan", step, cloud, kind="object3d", mime="model/ply", metadata={"points": 1500})
        values.media(
            run_id,
            "predictions",
            step,
            b"id,label\n1,cat\n",
            kind="file",
            mime="text/csv",
            caption="all predictions",
            metadata={"name": "predictions.csv"},
        )


def _tables(values: Values, run_id: str, place: int, steps: int) -> None:
    columns = [
        ("id", "integer"),
        ("picture", "media"),
        ("label", "string"),
        ("score", "number"),
        ("right", "boolean"),
        ("detail", "json"),
    ]
    for step in (0, steps // 2, steps - 1):
        rows: list[list[object]] = []
        for number in range(240):
            content = png(28, 28, lambda x, y, n=number: 255 if (x * (n % 9 + 1) + y * 3) % 17 < 5 else 30)
            cell = {
                "kind": "image",
                "sha256": values.keep(content),
                "size": len(content),
                "mime": "image/png",
                "caption": "",
                "metadata": {},
            }
            score: object = "NaN" if number == 7 else round(math.sin(number + step / 50 + place) ** 2, 4)
            rows.append(
                [number, cell, ("cat", "dog", "<b>bird</b>")[number % 3], score, number % 4 != 0, {"n": number}]
            )
        values.table(run_id, "val/predictions", step, columns, rows)
    values.table(run_id, "confusion", steps - 1, [("class", "string"), ("n", "integer")], [["cat", 3], ["dog", None]])


def _texts(values: Values, run_id: str, place: int, steps: int) -> None:
    story = [
        "Once upon a time there was a small model.",
        "It had {n} layers and a loss of {loss:.3f}.",
        "It ended well.",
    ]
    every = max(1, steps // 40)
    values.texts(
        run_id,
        "samples/story",
        {
            step: "\n".join(story).format(n=3 + step // (8 * every) + place, loss=2 / (1 + step))
            for step in range(0, steps, every)
        },
    )
    values.texts(
        run_id,
        "report/markdown",
        {
            step: f"## Epoch {step}\n\n* accuracy **{1 - 1 / (step + 2):.3f}**\n* `lr` = 1e-3\n\n"
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
            '![tracker](http://127.0.0.1:9/x.png) <img src=x onerror="window.hacked=1"> [x](javascript:window.hacked=1)'
            for step in (0, steps // 2)
        },
        mime="text/markdown",
    )


def _bells(rng: random.Random, steps: int, *, wide: bool) -> dict[int, tuple[list[float], list[float]]]:
    found = {}
    for step in range(0, steps, max(1, steps // 150)):
        width = (0.4 + 1.6 * step / steps) if wide else 2.0 / (1 + 4 * step / steps)
        middle = 0.6 * math.sin(step / steps * 4)
        edges = [middle - 4 * width + place * width / 8 for place in range(65)]
        counts = [
            round(4000 * math.exp(-(((place - 32) / 8) ** 2) / 2) * (0.9 + 0.2 * rng.random())) for place in range(64)
        ]
        found[step] = (edges, [float(count) for count in counts])
    return found


def _lines(rng: random.Random, count: int) -> list[str]:
    lines = ["\x1b[1mStarting\x1b[0m training with \x1b[38;5;208m<b>8</b>\x1b[0m workers"]
    for number in range(1, count):
        if number % 500 == 0:
            lines.append(f"!\x1b[33mWARNING\x1b[0m gradient norm {rng.random() * 90:.1f} was clipped to 1.0")
        elif number == count // 2:
            lines.append("!Traceback (most recent call last):")
        elif number == count // 2 + 1:
            lines.append("!\x1b[31;1mRuntimeError\x1b[0m: CUDA out of memory, trying again with a smaller batch")
        else:
            lines.append(
                f"step {number}  \x1b[32mloss\x1b[0m {2 / number:.4f}  lr 1.0e-03  {rng.randint(900, 1100)} images/s"
            )
    return lines


def _machine(values: Values, run_id: str, node: str, rng: random.Random) -> None:
    slow = 0.55 if node == "node-2" else 1.0

    def wave(level: float, swing: float, count: int = 220) -> list[float]:
        return [max(0.0, level + swing * math.sin(n / 9) + swing * 0.3 * rng.random()) for n in range(count)]

    values.samples(run_id, node, "cpu.percent", wave(40, 20))
    values.samples(run_id, node, "cpu.percent", wave(140, 30), device="process")
    values.samples(run_id, node, "memory.used_bytes", wave(3.2e10, 4e9))
    values.samples(run_id, node, "memory.used_bytes", wave(6e9, 4e8), device="process")
    values.samples(run_id, node, "memory.percent", wave(48, 6))
    values.samples(run_id, node, "disk.read_bytes_per_s", wave(2.4e8, 1e8), device="disk:/")
    values.samples(run_id, node, "disk.used_percent", wave(71, 0.1), device="disk:/")
    values.samples(run_id, node, "net.received_bytes_per_s", wave(9e8, 3e8), device="net:eth0")
    values.samples(run_id, node, "threads", wave(42, 2), device="process")
    for gpu in range(4):
        usage = slow if gpu == 3 else 1.0
        values.samples(run_id, node, "gpu.utilization_percent", wave(88 * usage, 8), device=f"gpu{gpu}")
        values.samples(run_id, node, "gpu.memory_used_bytes", wave(6.1e10, 1e9), device=f"gpu{gpu}")
        values.samples(run_id, node, "gpu.power_w", wave(610 * usage, 40), device=f"gpu{gpu}")
        values.samples(run_id, node, "gpu.temperature_c", wave(66 + gpu, 3), device=f"gpu{gpu}")


def png(width: int, height: int, level: object) -> bytes:
    """A grey picture; `level(x, y)` from 0 to 255."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(level(x, y) & 255 for x in range(width)) for y in range(height))  # type: ignore[operator]
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(frequency: float, rate: int = 8000) -> bytes:
    """Half a second of a tone."""
    samples = b"".join(
        struct.pack("<h", int(9000 * math.sin(2 * math.pi * frequency * n / rate))) for n in range(rate // 2)
    )
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(samples),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        rate * 2,
        2,
        16,
        b"data",
        len(samples),
    )
    return head + samples


def ply(points: Sequence[tuple[float, float, float]]) -> bytes:
    """Points in binary little-endian PLY, each of one of three classes."""
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + "property int class\nend_header\n"
    return head.encode() + b"".join(
        struct.pack("<fffi", *point, n * 3 // len(points)) for n, point in enumerate(points)
    )


def main() -> None:
    from project_data import fill  # type: ignore[import-not-found]  # run as a script, beside it

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("objects", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    began = time.monotonic()
    filled = fill(given.url, runs=max(3, given.runs), steps=2000, running=0)
    fill_values(given.url, open_store(given.objects.absolute().as_uri()), filled.run_ids[: given.runs], steps=2000)
    print(f"{given.runs} runs in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
