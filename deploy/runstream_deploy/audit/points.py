"""The points of messages looked up in the table `points`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.versions import versions
from runstream_storage.execution import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream_ingest.frames import Frame

Longs = NDArray[np.int64]
STEPS_AT_ONCE = 5_000
SPREAD = 8
"""Steps that lie further apart than this are asked for one by one, not as a range."""


class Owner(NamedTuple):
    """Whose points have an identity of their own."""

    project: str
    run_id: str
    rank: int


@dataclass(frozen=True, slots=True)
class Points:
    """Points of some messages as columns; `message` is the place of each point's message among them."""

    metric: NDArray[np.int32]
    step: Longs
    ver: NDArray[np.uint64]
    bits: Longs
    message: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Comparison:
    """By message: how many of its points are missing, and how many have another value than they were sent with."""

    missing: Mapping[int, int]
    different: Mapping[int, int]
    superseded: int
    """Points that a newer version of the same step replaced."""
    compared: int


def owner_of(frame: Frame) -> Owner:
    origin = frame.origin
    return Owner(origin.project.decode(), str(UUID(int=origin.run)), origin.rank)


def distinct(frame: Frame) -> int:
    """Points of `frame` that differ in metric or step: so many rows it leaves in the table."""
    steps = np.concatenate([block.steps for block in frame.blocks]) if frame.blocks else np.empty(0, np.int64)
    if len(np.unique(steps)) == len(steps):
        return frame.points
    names: dict[bytes, int] = {}
    points = columns([frame], names)
    return len(np.unique(np.stack((points.metric.astype(np.int64), points.step)), axis=1).T)


def columns(frames: Sequence[Frame], names: dict[bytes, int]) -> Points:
    """All points of `frames`; `names` numbers the metrics and learns new ones."""
    metric, step, ver, bits, message = [], [], [], [], []
    for number, frame in enumerate(frames):
        attempts = np.array([frame.origin.attempt], np.uint16)
        writers = np.array([frame.origin.writer], np.uint64)
        for block in frame.blocks:
            rows, width = block.values.shape
            ids = np.array([names.setdefault(name, len(names)) for name in block.keys.names], np.int32)
            vers = versions(attempts, block.times_us, writers)
            metric.append(np.tile(ids, rows))
            step.append(np.repeat(block.steps, width))
            ver.append(np.repeat(vers, width))
            bits.append(np.ascontiguousarray(block.values).reshape(-1).view(np.int64))
            message.append(np.full(rows * width, number, np.int32))
    return Points(
        _joined(metric, np.int32),
        _joined(step, np.int64),
        _joined(ver, np.uint64),
        _joined(bits, np.int64),
        _joined(message, np.int32),
    )


def counted(client: Client, partition: int, frames: Sequence[Frame]) -> dict[int, int]:
    """How many distinct points the table has of each message, by offset; `frames` are of one partition, in order."""
    runs = sorted({owner_of(frame)[:2] for frame in frames})
    parameters = {
        "runs": [(project, UUID(run_id)) for project, run_id in runs],
        "partition": partition,
        "first": frames[0].record.offset,
        "last": frames[-1].record.offset,
    }
    found: Any = client.query(statement("audit_points_by_offset"), parameters=parameters).result_rows
    return dict(found)


def compared(client: Client, owner: Owner, frames: Sequence[Frame]) -> Comparison:
    """Each point of `frames`, all of `owner`, against the newest version of its metric and step.

    The same version must have the same bits; a newer one may have any, because the step was logged again; an older one
    means that this point never arrived.
    """
    names: dict[bytes, int] = {}
    sent = columns(frames, names)
    if not len(sent.step):
        return Comparison({}, {}, 0, 0)
    steps = np.unique(sent.step)
    there = _newest(client, owner, names, steps)
    # One number for metric and step makes both sides comparable; steps that nobody sent are left out.
    known = np.searchsorted(steps, there.step)
    known[known == len(steps)] = 0
    asked = steps[known] == there.step
    keys = there.metric[asked].astype(np.int64) * len(steps) + known[asked]
    order = np.argsort(keys)
    keys, vers, bits = keys[order], there.ver[asked][order], there.bits[asked][order]
    wanted = sent.metric.astype(np.int64) * len(steps) + np.searchsorted(steps, sent.step)
    place = np.searchsorted(keys, wanted)
    if not len(keys):
        return Comparison(_by_message(sent.message), {}, 0, 0)
    place[place == len(keys)] = 0
    found = keys[place] == wanted
    newest = np.where(found, vers[place], np.uint64(0))
    missing = ~found | (newest < sent.ver)
    same = found & (newest == sent.ver)
    different = same & (bits[place] != sent.bits)
    superseded = found & (newest > sent.ver)
    return Comparison(
        missing=_by_message(sent.message[missing]),
        different=_by_message(sent.message[different]),
        superseded=int(superseded.sum()),
        compared=int(same.sum()),
    )


def _newest(client: Client, owner: Owner, names: dict[bytes, int], steps: Longs) -> Points:
    """What the table has at `steps`, the newest version of each, of the metrics in `names`."""
    low, high = int(steps[0]), int(steps[-1])
    dense = high - low < SPREAD * max(len(steps), 1_000)
    parts: Iterable[list[int]]
    parts = [[]] if dense else [steps[at : at + STEPS_AT_ONCE].tolist() for at in range(0, len(steps), STEPS_AT_ONCE)]
    metric, step, ver, bits = [], [], [], []
    numbers = {name.decode(): number for name, number in names.items()}
    for part in parts:
        parameters: dict[str, Any] = {
            "project": owner.project,
            "run": owner.run_id,
            "rank": owner.rank,
            "low": part[0] if part else low,
            "high": part[-1] if part else high,
            "steps": part,
        }
        table = client.query_arrow(statement("audit_newest_points"), parameters=parameters, use_strings=True)
        text = table.column("metric").combine_chunks().dictionary_encode()
        ids = np.array([numbers.get(name, -1) for name in text.dictionary.to_pylist()], np.int32)
        found = ids[text.indices.to_numpy()] if len(ids) else np.empty(0, np.int32)
        mine = found >= 0
        metric.append(found[mine])
        step.append(table.column("step").to_numpy()[mine])
        ver.append(table.column("newest").to_numpy()[mine])
        bits.append(table.column("bits").to_numpy()[mine])
    empty = np.empty(0, np.int32)
    return Points(
        _joined(metric, np.int32), _joined(step, np.int64), _joined(ver, np.uint64), _joined(bits, np.int64), empty
    )


def _by_message(messages: NDArray[np.int32]) -> dict[int, int]:
    numbers, counts = np.unique(messages, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts) if parts else np.empty(0, kind)
