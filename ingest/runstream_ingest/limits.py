"""What the fields that every event has may hold."""

from __future__ import annotations

from runstream_ingest.errors import MessageUnusable

MAX_PROJECT_BYTES = 256
MAX_ATTEMPT = (1 << 16) - 1
MAX_RANK = (1 << 31) - 1


def check_header(project: bytes, writer: int, attempt: int, rank: int) -> None:
    """Raises MessageUnusable when a field does not fit its column."""
    if not 0 < len(project) <= MAX_PROJECT_BYTES:
        raise MessageUnusable(
            "invalid", f"the project has {len(project)} bytes; from 1 to {MAX_PROJECT_BYTES} are allowed"
        )
    if writer < 0:
        raise MessageUnusable("invalid", f"writer_id is {writer}; it is not negative")
    if not 0 <= attempt <= MAX_ATTEMPT:
        raise MessageUnusable("invalid", f"attempt is {attempt}; it is from 0 to {MAX_ATTEMPT}")
    if not 0 <= rank <= MAX_RANK:
        raise MessageUnusable("invalid", f"rank is {rank}; it is from 0 to {MAX_RANK}")
