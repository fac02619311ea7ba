"""Exit codes of every `runstream` command, and the one place that turns an error of ours into one.

| code | meaning |
|---|---|
| 0 | done, nothing wrong |
| 1 | done, and something is wrong: a finding, a run that is not there, data left behind |
| 2 | the command line is wrong: an unknown option, a filter or SQL that does not parse |
| 3 | a service (Kafka, ClickHouse, the object store, `runstream up`) does not answer or refuses us |
| 4 | already running: another process holds the directory or the port |
| 130 | stopped with Ctrl-C |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import typer
from rich.console import Console

OK, FOUND, USAGE, UNREACHABLE, RUNNING = range(5)
STOPPED = 130
ACCESS_DENIED = 497
"""ClickHouse's number for a user without a right."""


def fail(message: str, code: int = FOUND) -> NoReturn:
    """Print `message` to stderr, in red where there is a terminal, and end with `code`."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors that a user can mend become one message and an exit code; anything else is a bug and keeps its trace."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from runstream.errors import AgentRunning, EditRefused, LookupFailed, RunstreamError, SettingsError
    from runstream_deploy.errors import (
        DeployError,
        KafkaUnreachable,
        NoDatabase,
        NoKafka,
        NotWritten,
        ReadOnlyUser,
        WrongOffsets,
        WrongTime,
    )
    from runstream_storage.errors import FilterError, QueryError, StorageError, Unreachable, sentence_of

    try:
        yield
    except QueryError as error:
        if error.code == ACCESS_DENIED:
            fail(f"ClickHouse refuses: {error}. Check the user, its rights and `runstream doctor`.", UNREACHABLE)
        fail(str(error), USAGE)
    except (EditRefused, FilterError, NoKafka, SettingsError, WrongOffsets, WrongTime) as error:
        fail(str(error), USAGE)
    except (KafkaUnreachable, LookupFailed, NoDatabase, NotWritten, ReadOnlyUser, Unreachable) as error:
        fail(str(error), UNREACHABLE)
    except AgentRunning as error:
        fail(str(error), RUNNING)
    except ClickHouseError as error:
        fail(
            f"ClickHouse refuses: {sentence_of(error)}. Check the user, its rights and `runstream doctor`.", UNREACHABLE
        )
    except (RunstreamError, StorageError, DeployError) as error:
        fail(str(error), FOUND)
