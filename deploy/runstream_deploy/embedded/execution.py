"""Runs one request on a handle of its own. Blocking: the endpoint calls each step in a worker thread."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from runstream_deploy.embedded import native
from runstream_deploy.embedded.engine import Engine, Handle, quoted
from runstream_deploy.embedded.errors import QueryError
from runstream_deploy.embedded.formats import STREAMED
from runstream_deploy.embedded.request import Request
from runstream_deploy.embedded.statement import SELECTING, SESSION, Statement, check_reading

PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Summary:
    """The numbers of the X-ClickHouse-Summary header."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_s: float = 0.0

    def add(self, result: Any, size: int = 0) -> None:
        self.read_rows += result.storage_rows_read() or 0
        self.read_bytes += result.storage_bytes_read() or 0
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read() if size else 0
        self.result_bytes += size
        self.elapsed_s = max(self.elapsed_s, result.elapsed())

    def header(self) -> str:
        values = {
            "read_rows": self.read_rows,
            "read_bytes": self.read_bytes,
            "written_rows": self.written_rows,
            "written_bytes": self.written_bytes,
            "total_rows_to_read": self.read_rows,
            "result_rows": self.result_rows,
            "result_bytes": self.result_bytes,
            "elapsed_ns": int(self.elapsed_s * 1e9),
        }
        return json.dumps({name: str(value) for name, value in values.items()})


@dataclass(slots=True)
class Execution:
    """From `open` to `close`; the steps in between run one after the other, in any thread."""

    engine: Engine
    request: Request
    statement: Statement
    tag: str
    summary: Summary = field(default_factory=Summary)
    _handle: Handle | None = None
    _body: IO[bytes] | None = None
    _stream: Any = None

    def open(self) -> None:
        """Checks the statement and prepares the handle. Raises QueryError."""
        if self.statement.kind in SESSION:
            raise QueryError(
                344,
                "SUPPORT_IS_DISABLED",
                "There are no sessions here: send settings and the database as URL parameters.",
            )
        self._handle = handle = self.engine.open()
        if self.request.database != "default":
            handle.use(self.request.database)
        # The tag is the mark by which it can be ended; what the client says there before it has a meaning, too.
        comment = f"{self.request.settings.get('log_comment', '')} {self.tag}".lstrip()
        settings = {**self.request.settings, "log_comment": comment}
        if not self.request.user.is_owner:
            check_reading(self.statement.sql)
            check_reading(self._normalised(handle))
            self.engine.for_reader(handle)
            handle.set_all(settings)
        else:
            handle.set_all(settings)
            if self.request.is_get:
                handle.set_all({"readonly": "2"})

    def _normalised(self, handle: Handle) -> bytes:
        """The statement as the engine's own parser writes it: what it reads is what is checked."""
        text = self.statement.sql.decode("utf-8", "surrogateescape")
        if not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text):
            raise QueryError(62, "SYNTAX_ERROR", "The statement is not valid UTF-8.")
        escaped = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        result = handle.query("SELECT formatQuery({sql:String})", "RawBLOB", {"sql": escaped})
        return bytes(result.bytes())

    def pieces(self) -> Iterator[bytes]:
        """The answer, piece by piece as the engine gives it. Raises QueryError, also in between."""
        name = self.statement.format or self.request.default_format
        if name.lower() == "native" and self.request.revision >= native.CUSTOM_SERIALIZATION:
            return map(native.in_revision, self._pieces())
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        handle, sql = self._ready(), _text(self.statement.sql)
        name = self.statement.format or self.request.default_format
        if self.statement.kind not in SELECTING or name.lower() not in STREAMED:
            result = handle.query(sql, name, self.request.parameters)
            size = result.size()
            self.summary.add(result, size)
            if size <= PIECE_BYTES or name.lower() == "native":
                yield result.bytes() or b""
                return
            view = memoryview(result.get_memview().view())
            for start in range(0, size, PIECE_BYTES):
                yield bytes(view[start : start + PIECE_BYTES])
            return
        self._stream = stream = handle.stream(sql, name, self.request.parameters)
        while (result := _fetch(stream)) is not None:
            piece = result.bytes()
            self.summary.add(result, len(piece))
            yield piece
        self._stream = None

    def begin_insert(self) -> None:
        """Makes the file that `append` fills. Raises QueryError.

        The engine then reads the data from it: its own streaming insert reports success for rows that it failed to
        store (a constraint, a full disk, a view), and the caller would drop its only copy of them.
        """
        try:
            self._body = tempfile.NamedTemporaryFile(dir=self.engine.bodies)  # noqa: SIM115 - open until the insert ends
        except OSError as error:
            raise _no_room(error) from None

    def append(self, data: bytes) -> None:
        """Raises QueryError when the disk is full."""
        assert self._body is not None
        try:
            self._body.write(data)
        except OSError as error:
            raise _no_room(error) from None

    def finish_insert(self) -> None:
        """Stores the rows; when this returns they are on disk as the engine keeps them. Raises QueryError."""
        assert self._body is not None
        try:
            self._body.flush()
        except OSError as error:
            raise _no_room(error) from None
        statement = self.statement
        target = statement.sql[: statement.target_end].decode("utf-8", "replace")
        settings = statement.sql[statement.target_end : statement.head_end].decode("utf-8", "replace")
        source = f"FROM INFILE {quoted(self._body.name)} COMPRESSION 'none'"
        sql = f"{target} {source} {settings} FORMAT {statement.format or 'Values'}"
        result = self._ready().query(sql, "Null", self.request.parameters)
        self.summary.written_rows = self.summary.read_rows = result.rows_written()
        self.summary.written_bytes = self.summary.read_bytes = result.bytes_written()
        self.summary.elapsed_s = result.elapsed()

    def close(self) -> None:
        """Cancels what has not ended and closes the handle."""
        try:
            for open_work in (self._body, self._stream):
                if open_work is not None:
                    open_work.close()
        except (RuntimeError, OSError):
            pass  # the statement failed already, which its caller has been told
        finally:
            self._body = self._stream = None
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def _ready(self) -> Handle:
        assert self._handle is not None
        return self._handle


def _no_room(error: OSError) -> QueryError:
    return QueryError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data of the insert: {error.strerror or error}.")


def _fetch(stream: Any) -> Any:
    try:
        return stream.fetch()
    except RuntimeError as error:
        raise QueryError.from_engine(str(error)) from None


def _text(sql: bytes) -> str | bytes:
    try:
        return sql.decode("utf-8")
    except UnicodeDecodeError:
        return sql
