"""One thing that was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream.errors import RunstreamError
from runstream_deploy.errors import DeployError
from runstream_storage.errors import StorageError, sentence_of

if TYPE_CHECKING:
    from runstream.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What was looked at. `remedy` is empty when `ok`."""

    ok: bool
    subject: str
    found: str
    remedy: str = ""


_REMEDIES = {
    497: "GRANT the right to the user of RUNSTREAM_CLICKHOUSE, or name a user who has it.",
    516: "Correct the user and the password in RUNSTREAM_CLICKHOUSE.",
}
"""By ClickHouse's number of the error."""
Check = Callable[["Settings"], Iterator[Finding]]


def judged(subject: str, found: str, remedy: str = "", *, ok: bool) -> Finding:
    return Finding(ok, subject, found, "" if ok else remedy)


def examined(check: Check, settings: Settings) -> list[Finding]:
    """A check that cannot finish is a finding, too: the doctor never falls over what it came to look at."""
    found: list[Finding] = []
    try:
        found.extend(check(settings))
    except (DeployError, RunstreamError, StorageError) as error:
        found.append(Finding(False, subject_of(check), str(error), "Do what the message says, then run this again."))
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what the user asked about
        text = sentence_of(error) if hasattr(error, "code") else f"{type(error).__name__}: {sentence_of(error)}"
        remedy = _REMEDIES.get(getattr(error, "code", 0), "Mend what the message names, then run this again.")
        found.append(Finding(False, subject_of(check), text, remedy))
    return found


def subject_of(check: Check) -> str:
    return {"brokers": "Kafka", "database": "ClickHouse"}.get(check.__name__, check.__name__.replace("_", " "))
