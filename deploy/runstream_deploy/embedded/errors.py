"""Errors of the embedded stack.

EmbeddedError (a DeployError)
├── EngineBusy            another process owns the data directory
├── EngineBroken          the engine could not open the data directory
├── DirectoryUnusable     the data directory cannot be written
├── PortTaken             an address is in use
├── AlreadyUp             `runstream up` runs on this directory already
├── PartEnded             a part of `runstream up` stopped by itself
└── QueryError            a statement failed; what a client reads as `Code: N. DB::Exception: …`
"""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from runstream_deploy.errors import DeployError

CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*$")

VERSION = re.compile(r"\s*\(version [^()]*\)\.?\s*$")

UNKNOWN = (16, 46, 47, 50, 60, 63, 73, 81, 115, 455)
MALFORMED = (6, 26, 27, 38, 41, 42, 43, 44, 53, 57, 62, 69, 70, 72, 85, 117, 130, 158, 386, 440, 456, 457)
FORBIDDEN = (164, 192, 193, 194, 195, 291, 452, 497, 512, 516)


class EmbeddedError(DeployError):
    """Base of everything the embedded stack raises on purpose; the text says what to do."""


class EngineBusy(EmbeddedError):
    """`directory` belongs to the running process `pid` (None when its name could not be read)."""

    def __init__(self, *, directory: Path, pid: int | None) -> None:
        self.directory, self.pid = directory, pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{directory} is owned by {who}: the embedded ClickHouse can be opened once. "
            f"Use that process's SQL address (see `runstream sql`), stop it{f' (kill {pid})' if pid else ''}, "
            "or choose another directory with --dir."
        )


class EngineBroken(EmbeddedError):
    """The engine refused to start on `directory`; `reason` is its own text."""

    def __init__(self, *, directory: Path, reason: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(
            f"The embedded ClickHouse could not open {directory}: {reason.strip()} "
            f"Move that directory away to start empty (mv {directory} {directory}.broken); "
            "the spool still holds what was never acknowledged."
        )


class DirectoryUnusable(EmbeddedError):
    """`directory` cannot hold the data; `reason` is the system's text."""

    def __init__(self, *, directory: Path, reason: str, remedy: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(f"{directory} cannot be used: {reason}. {remedy}")


class PortTaken(EmbeddedError):
    """`port` of `host` is in use; `option` is the one that chooses another."""

    def __init__(self, *, host: str, port: int, option: str) -> None:
        self.host, self.port, self.option = host, port, option
        super().__init__(
            f"{host}:{port} is in use. Stop what listens there or choose another port: {option} 0 takes a free one."
        )


class AlreadyUp(EmbeddedError):
    """`directory` is served by the `runstream up` with `pid` already; the addresses are empty while it still starts."""

    def __init__(self, *, directory: Path, pid: int | None, ui_url: str = "", sql_url: str = "") -> None:
        self.directory, self.pid, self.ui_url, self.sql_url = directory, pid, ui_url, sql_url
        where = f"\n  UI   {ui_url}\n  SQL  {sql_url}" if ui_url else " It is still starting."
        super().__init__(
            f"`runstream up` runs on {directory} already (pid {pid or 'unknown'}).{where}\n"
            f"Use it, stop it{f' with: kill {pid}' if pid else ''}, or start another with --dir."
        )


class PartEnded(EmbeddedError):
    """The part `name` of the process stopped without being asked to; `log` tells more."""

    def __init__(self, *, name: str, reason: str, log: Path) -> None:
        self.name, self.reason, self.log = name, reason, log
        super().__init__(
            f"The {name} stopped: {reason}. So `runstream up` ends; what was logged is safe in the spool and is read "
            f"at the next start. More in {log}"
        )


class QueryError(EmbeddedError):
    """A statement failed with ClickHouse's `code` and `name`; `status` is what its server answers over HTTP."""

    def __init__(self, code: int, name: str, text: str) -> None:
        self.code, self.name, self.text = code, name, text
        super().__init__(f"Code: {code}. DB::Exception: {text} ({name})")

    @classmethod
    def from_engine(cls, message: str) -> QueryError:
        """Reads the engine's text, which may repeat its prefix and wrap itself, into code, name and text."""
        found = list(CODE.finditer(message))
        if not found:
            return cls(1001, "STD_EXCEPTION", message.strip() or "The engine failed without a message.")
        code = int(found[-1].group(1))
        text = message[found[-1].end() :].strip()
        names: list[str] = []
        while match := NAME.search(text):
            names.append(match.group(1))
            text = VERSION.sub("", text[: match.start()].strip())
        return cls(code, names[-1] if names else "UNKNOWN", text)

    @property
    def status(self) -> int:
        if self.code == 194:
            return HTTPStatus.UNAUTHORIZED
        if self.code in FORBIDDEN:
            return HTTPStatus.FORBIDDEN
        if self.code in UNKNOWN:
            return HTTPStatus.NOT_FOUND
        if self.code in MALFORMED:
            return HTTPStatus.BAD_REQUEST
        return {
            48: HTTPStatus.NOT_IMPLEMENTED,
            159: HTTPStatus.REQUEST_TIMEOUT,
            202: HTTPStatus.SERVICE_UNAVAILABLE,
            223: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        }.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)
