"""The embedded stack: ClickHouse in this process, its HTTP protocol on loopback, and `runstream up` around it."""

from __future__ import annotations

try:
    import chdb as _chdb  # noqa: F401  # loads the engine in the main thread: its import changes the directory for a moment
    import starlette as _starlette  # noqa: F401
except ImportError as error:  # pragma: no cover - depends on the installation
    raise ImportError(
        f"The embedded stack needs the package {error.name!r}. Install it with: pip install 'runstream[embedded]'"
    ) from error
