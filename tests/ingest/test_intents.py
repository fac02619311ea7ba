from __future__ import annotations

import pytest

from runstream_ingest import intents
from runstream_ingest.records import Range, Source


def ranges(topic: str, count: int) -> dict[Source, Range]:
    return {Source(topic, (1 << 31) - 1 - i): Range((1 << 62) + i, (1 << 62) + 10 + i, 7) for i in range(count)}


def test_an_intent_comes_back_as_it_was() -> None:
    intent = intents.intent_of("a name", ranges("r.metrics", 3))
    assert intents.decode(intent.encode()) == intent


@pytest.mark.parametrize("topic", ["m", "runstream.metrics", "x" * 249])
def test_what_is_said_to_fit_does(topic: str) -> None:
    most = max(n for n in range(1, 80) if intents.fits(ranges(topic, n)))
    name = f"{topic}:{1 << 31}:{1 << 62}-{1 << 62}:{'f' * 16}"
    assert most >= 10
    assert len(intents.intent_of(name, ranges(topic, most)).encode()) <= intents.MAX_BYTES


@pytest.mark.parametrize(
    "metadata", [None, "", "of another program", "{}", '{"v":2}', '{"v":1,"id":"x","r":[["t"]]}', "[1]"]
)
def test_other_metadata_is_none(metadata: str | None) -> None:
    assert intents.decode(metadata) is None
