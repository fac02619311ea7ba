"""Dead letters of the embedded process: two files each in `dead-letters/` of the data directory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from runstream.errors import MessageRefused
from runstream.messages import Message
from runstream_deploy.operations.letter_topics import number
from runstream_deploy.operations.letters import FACTS, Letter
from runstream_deploy.operations.patience import written

WITHIN_S = 60.0


class FileLetters:
    """The letters of `directory`, a data directory; `database_url` is where they go back to."""

    def __init__(self, directory: Path, database_url: str = "") -> None:
        from runstream_ingest.embedded import DEAD_LETTERS

        self._data = directory
        self._directory = directory / DEAD_LETTERS
        self._database_url = database_url

    async def letters(self) -> AsyncIterator[Letter]:
        """See `LetterBox.letters`; the oldest first."""
        found = self._directory.glob("*.json") if self._directory.is_dir() else ()
        for path in sorted(found, key=lambda one: one.stat().st_mtime):
            letter = _read(path)
            if letter is not None:
                yield letter

    async def send_again(self, letters: Iterable[Letter]) -> dict[str, str]:
        """See `LetterBox.send_again`: through the ingest steps into the database, unless they still cannot read it."""
        from runstream_ingest.embedded import EmbeddedIngest

        ingest = EmbeddedIngest(self._database_url, self._data)
        failed: dict[str, str] = {}
        await ingest.start()
        try:
            for letter in letters:
                if problem := _unreadable(letter):
                    failed[letter.id] = problem
                    continue
                try:
                    message = Message(letter.topic, letter.key or b"", letter.value, letter.headers)
                    await written(ingest.put([message]), ingest.health, within_s=WITHIN_S)
                except MessageRefused as error:
                    failed[letter.id] = str(error)
        finally:
            await ingest.close()
        return failed

    def remove(self, letter: Letter) -> None:
        """Deletes both files. Raises OSError."""
        path = Path(letter.kept_at)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _unreadable(letter: Letter) -> str:
    """Why this release cannot read it either; empty when it can."""
    from runstream_ingest.decode import read
    from runstream_ingest.errors import MessageUnusable
    from runstream_ingest.frames import FrameReader
    from runstream_ingest.records import Record

    record = Record(letter.topic, letter.partition, letter.offset, letter.ts_ms, letter.key, letter.value)
    try:
        read(record, FrameReader(), max_bytes=max(1, len(letter.value)))
    except MessageUnusable as error:
        return str(error)
    return ""


def _read(path: Path) -> Letter | None:
    """None for files that are just being written, or were never ours."""
    kept = path.with_suffix(".bin")
    try:
        facts = json.loads(path.read_bytes())
        value = kept.read_bytes()
        if not isinstance(facts, dict):
            return None
        own = tuple((name, str(text).encode()) for name, text in facts.items() if not name.startswith(FACTS))
        return Letter(
            topic=str(facts[FACTS + "source_topic"]),
            partition=int(facts[FACTS + "source_partition"]),
            offset=int(facts[FACTS + "source_offset"]),
            reason=str(facts.get(FACTS + "reason", "unknown")),
            error=str(facts.get(FACTS + "error", "")),
            ts_ms=number(facts.get(FACTS + "source_timestamp_ms"), 0),
            key=None,
            value=value,
            headers=own,
            kept_at=str(kept),
        )
    except (OSError, ValueError, KeyError):
        return None
