"""Several services in one directory, known to later processes by a state file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from .cache import locked, private_dir
from .clickhouse import ClickHouseService
from .errors import DevError
from .installs import Report
from .kafka import KafkaService
from .minio import MinioService
from .service import Service

KINDS: Mapping[str, type[Service]] = {cls.kind: cls for cls in (KafkaService, ClickHouseService, MinioService)}
DATABASE = "runstream"
BUCKET = "runstream"


def default_directory() -> Path:
    """The temporary directory of a stack that was given none; it is removed when the stack goes down."""
    return Path(tempfile.gettempdir()) / f"runstream-dev-{os.getuid()}"


class Stack:
    """Kafka, ClickHouse and MinIO, or those named in `only`.

    A directory that holds a stack already is taken over as it is: the services it has, their ports and credentials.
    Without a directory the data is temporary.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        only: Iterable[str] | None = None,
        shards: int = 1,
        tethered: bool = False,
        report: Report = lambda _: None,
    ) -> None:
        self.is_temporary = directory is None
        self.directory = (directory or default_directory()).absolute()
        self._wanted = _wanted(only, shards)
        self._only_given = only is not None
        self._tethered = tethered
        self._report = report
        self.services: dict[str, Service] = {}
        self._read()

    @classmethod
    def open(cls, directory: Path | None = None, *, report: Report = lambda _: None) -> Stack:
        """The stack that lies in `directory`, which may have no services."""
        return cls(directory, only=(), report=report)

    def start(self) -> None:
        """Install and start every chosen service; return when all are healthy. Those that run are left alone."""
        private_dir(self.directory)
        with self._locked():
            self._read()
            self._save()
            chosen = [self.services[name] for name in (self._wanted if self._only_given else self.services)]
            with ThreadPoolExecutor(max_workers=max(1, len(chosen))) as pool:
                list(pool.map(lambda service: service.install(), chosen))
            for service in chosen:
                service.assign_ports()  # every ClickHouse node is told the ports of all nodes
            for service in chosen:  # here, not in the pool: a tethered process dies with the thread that started it
                service.launch()
            for service in chosen:
                service.await_healthy()
            for service in chosen:  # a port was lost to a race, or the stack got another shard
                if isinstance(service, ClickHouseService) and not service.knows_its_cluster:
                    service.restart()

    def stop(self, *, remove: bool | None = None) -> None:
        """Stop every service; `remove` the data too (by default when the directory is the temporary one)."""
        if not self.directory.exists():
            return
        with self._locked():
            self._read()
            with ThreadPoolExecutor(max_workers=max(1, len(self.services))) as pool:
                list(pool.map(lambda service: service.stop(), self.services.values()))
            if self.is_temporary if remove is None else remove:
                shutil.rmtree(self.directory)

    def __getitem__(self, name: str) -> Service:
        if name not in self.services:
            raise DevError(
                f"There is no service {name!r} in {self.directory}; it has {', '.join(self.services) or 'none'}."
            )
        return self.services[name]

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The RUNSTREAM_* variables that point the programs here."""
        found: dict[str, str] = {}
        for service in self.services.values():
            if not service.alive:
                continue
            if isinstance(service, KafkaService):
                found["RUNSTREAM_KAFKA"] = service.bootstrap
            elif isinstance(service, ClickHouseService):
                found.setdefault("RUNSTREAM_CLICKHOUSE", f"{service.url}/{DATABASE}")
            elif isinstance(service, MinioService):
                found["RUNSTREAM_S3"] = f"{service.url}/{BUCKET}"
        return found

    def _read(self) -> None:
        """Take over what is in the directory, and add what was asked for."""
        known = self._known()
        fresh = self._wanted if self._only_given or not known else _more_shards(known, self._wanted)
        for name, kind in {**known, **fresh}.items():
            if name in self.services:
                self.services[name].reload()
            else:
                place = self.directory / name
                self.services[name] = KINDS[kind](place, name=name, tethered=self._tethered, report=self._report)
        nodes = [service for service in self.services.values() if isinstance(service, ClickHouseService)]
        for node in nodes:
            node.shards = nodes

    @property
    def _state_file(self) -> Path:
        return self.directory / "stack.json"

    def _known(self) -> dict[str, str]:
        if not self._state_file.exists():
            return {}
        try:
            return {str(name): str(kind) for name, kind in json.loads(self._state_file.read_text())["services"].items()}
        except (ValueError, KeyError, AttributeError, TypeError) as exc:
            raise DevError(
                f"{self._state_file} cannot be read ({exc!r}). Remove {self.directory} and start anew."
            ) from exc

    def _save(self) -> None:
        partial = self._state_file.with_suffix(".partial")
        partial.write_text(json.dumps({"services": {name: service.kind for name, service in self.services.items()}}))
        partial.replace(self._state_file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.directory.with_name(self.directory.name + ".lock")
        with locked(lock):
            yield


def _more_shards(known: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Of `wanted`, the further ClickHouse nodes for a stack that has ClickHouse."""
    if "clickhouse" not in known:
        return {}
    return {name: kind for name, kind in wanted.items() if kind == "clickhouse"}


def _wanted(only: Iterable[str] | None, shards: int) -> dict[str, str]:
    """Service names to kinds."""
    kinds = list(KINDS) if only is None else list(only)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise DevError(f"Unknown service {', '.join(unknown)}; there are {', '.join(KINDS)}.")
    if shards < 1:
        raise DevError(f"--shards must be at least 1, not {shards}.")
    wanted = {kind: kind for kind in kinds}
    if "clickhouse" in wanted:
        wanted.update({f"clickhouse-{number}": "clickhouse" for number in range(2, shards + 1)})
    return wanted
