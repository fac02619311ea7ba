"""Topics and a database of a test's own, with what the commands say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

from typer.testing import Result

from cli.delivered import bring, finished, send, started
from runstream_storage.connection import connect

Runstream = Callable[..., Result]


class Stack:
    def __init__(self, runstream: Runstream, bootstrap: str, prefix: str, database: str) -> None:
        self.runstream, self.bootstrap, self.prefix, self.database = runstream, bootstrap, prefix, database

    def deliver(self, *metrics: bytes, announced: int) -> None:
        """One run of `metrics` frames, ingested and committed; its end announces so many rows."""
        send(self.bootstrap, self.prefix, metrics, [started(), finished(announced)])
        self.bring()

    def bring(self) -> None:
        bring(self.bootstrap, self.database, self.prefix)

    def sql(self, statement: str) -> list[Any]:
        with closing(connect(self.database)) as client:
            if statement.startswith("SELECT"):
                return list(client.query(statement).result_rows)
            client.command(statement, settings={"mutations_sync": 1})
            return []

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return dict(json.loads(self.runstream(*arguments, "--json", code=code).stdout))

    def verify(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        answer = self.json("verify", *arguments, code=code)
        assert answer["ok"] == (code == 0)
        return answer
