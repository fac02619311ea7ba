"""The settings of the producer, read once from the environment."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from runstream.errors import SettingsError

MODES = ("online", "offline", "disabled")
AGENTS = ("auto", "external", "thread", "off")
REINITS = ("auto", "finish_previous", "create_new")
ON_FULL = ("spill", "block", "drop_oldest")
KEEPS = ("kafka", "clickhouse")
CONSOLES = ("auto", "0", "1")
TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,200}")
TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")

ENVIRONMENT_ALLOWED = (
    "CONDA_DEFAULT_ENV,CUDA_VISIBLE_DEVICES,HOSTNAME,HYDRA_*,JOB_NAME,KUBERNETES_*,LOCAL_RANK,LSB_JOBID,MASTER_ADDR,"
    "MASTER_PORT,NCCL_*,NODE_RANK,OMP_NUM_THREADS,OMPI_COMM_WORLD_*,PBS_JOBID,POD_*,PYTHONHASHSEED,RANK,SLURM_*,"
    "TORCHELASTIC_*,VIRTUAL_ENV,WORLD_SIZE,XLA_FLAGS"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What `RUNSTREAM_*` says. `Settings.from_env(os.environ)` reads it, `dataclasses.replace` changes a copy."""

    dir: Path
    project: str = "default"
    mode: str = "online"
    kafka: str | None = None
    topic_prefix: str = "runstream"
    clickhouse: str | None = None
    s3: str = ""
    agent: str = "auto"
    run_id: str | None = None
    """The id of the run where `init()` names none: gives all ranks of a job one run."""
    attempt: int | None = None
    """Forces the attempt number; None: one more than what is known of the run."""
    rank: int = 0
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None
    parent_run: str | None = None
    reinit: str = "auto"
    """What `init()` does with an earlier run: `auto` finishes it in a notebook and leaves it open in a script."""
    ui_url: str | None = None
    finish_timeout_s: float = 30.0
    max_metrics: int = 50_000
    """Distinct metric names of one process; a value under a further name is refused."""
    segment_bytes: int = 1 << 20
    """Size of the first spool segment; each next one is twice as large, up to `segment_max_bytes`."""
    segment_max_bytes: int = 16 << 20
    spool_max_bytes: int = 0
    """Unsent bytes one process may hold on disk, 0 for no limit; beyond it `on_full` decides."""
    on_full: str = "spill"
    """At the cap, and on a full disk: `spill` leaves new rows out, `block` waits for room, `drop_oldest` gives up the
    oldest unsent rows. Each shows as a gap on the run."""
    block_timeout_s: float = 60.0
    """How long one shortage may hold up log() with `block`; then rows are left out until there is room."""
    keep: str = "kafka"
    """Until when the agent keeps what it sent: acknowledged by `kafka`, or queryable in `clickhouse`."""
    ingest_group: str = "runstream-ingest"
    """The consumer group of the ingest workers, whose committed offsets say what is queryable."""
    preempt_signals: tuple[str, ...] = ()
    """Signals, such as SIGTERM, that mean preemption: exit codes 128 + n of these end the run as preempted."""
    capture: bool = True
    capture_git: bool = True
    capture_diff: bool = True
    """Whether what differs from the commit is kept as the artifact `source-code`."""
    capture_diff_max_bytes: int = 10 << 20
    """A larger patch is left out, and its statistics are kept."""
    capture_wait_s: float = 0.05
    """How long init() waits for what git tells of the changes; afterwards it is looked for while the run goes on."""
    capture_notebook: bool = True
    capture_packages: bool = True
    capture_sources: bool = True
    """Entry point, interpreter, lock files, and where packages came from that are from no index."""
    capture_command: bool = True
    capture_machine: bool = True
    capture_container: bool = True
    capture_job: bool = True
    capture_determinism: bool = True
    save_code: bool = False
    """Whether a run begins with a snapshot of its code."""
    dataset_cache: bool = True
    """Whether digests of large files are remembered in the data directory, by inode, size and time."""
    capture_env: tuple[str, ...] = tuple(ENVIRONMENT_ALLOWED.split(","))
    """Names (a trailing * matches the rest) of environment variables to keep, masked; empty keeps none."""
    console: str = "auto"
    """Whether what this process and its children print is recorded: `0`, `1`, or `auto`, where nothing speaks against
    it."""
    console_max_bytes: int = 256 << 20
    """Recorded output that may wait on disk to be sent; what is beyond it is left out, counted and said."""
    console_max_rate: int = 1 << 20
    """Bytes a second that are recorded in the long run, after a burst of 64 MiB; 0 for no limit."""
    system: bool = True
    """Whether machine and process are sampled."""
    system_interval_s: float = 5.0
    """Between two samples of the machine, from 0.1."""
    quiet: bool = False
    """Whether the notes at start and end of a run are left out; warnings stay."""
    client_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """`RUNSTREAM_KAFKA_*` as given (security protocol, user, ...), for the agent."""

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, MODES)
        _one_of("agent", self.agent, AGENTS)
        _one_of("reinit", self.reinit, REINITS)
        _one_of("on_full", self.on_full, ON_FULL)
        _one_of("keep", self.keep, KEEPS)
        _one_of("console", self.console, CONSOLES)
        if not self.system_interval_s >= 0.1:
            raise SettingsError("system_interval_s", self.system_interval_s, "0.1 seconds or more")
        for name in self.preempt_signals:
            if name not in import_module("signal").Signals.__members__:
                raise SettingsError("preempt_signals", name, "names of signals, such as SIGTERM,SIGUSR1")
        if not TOPIC_PREFIX.fullmatch(self.topic_prefix):
            raise SettingsError("topic_prefix", self.topic_prefix, "1 to 200 of A-Z a-z 0-9 . _ -")
        if not 0 <= self.rank < 2**31:
            raise SettingsError("rank", self.rank, "an integer from 0 to 2147483647")
        if self.segment_bytes < 1 << 16 or self.segment_max_bytes < self.segment_bytes:
            raise SettingsError("segment_bytes", self.segment_bytes, "at least 65536 and at most segment_max_bytes")
        if not self.s3:
            object.__setattr__(self, "s3", _object_directory(self.dir))

    def changed(self, **changes: Any) -> Settings:
        """A copy with other values for some fields. Raises SettingsError for an unknown field or a value of no use."""
        for name in changes:
            if name not in VARIABLES and name not in ("rank", "client_options"):
                raise SettingsError("settings", name, "one of " + ", ".join(sorted(VARIABLES)))
        if "dir" in changes:
            changes["dir"] = _directory(os.fspath(changes["dir"]))
            if self.s3 == _object_directory(self.dir):
                changes.setdefault("s3", "")
        return dataclasses.replace(self, **changes) if changes else self

    @property
    def spool_dir(self) -> Path:
        return self.dir / "spool"

    @property
    def agent_lock(self) -> Path:
        return self.dir / "agent.lock"

    @property
    def logs_dir(self) -> Path:
        return self.dir / "logs"

    @property
    def up_file(self) -> Path:
        return self.dir / "up.json"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `RUNSTREAM_*` and the rank of the launcher from `env`.

        Raises SettingsError with the variable's name for a value that cannot be used.
        """
        values: dict[str, Any] = {}
        for field, (variable, convert) in VARIABLES.items():
            text = env.get(variable, "").strip()
            if text:
                try:
                    values[field] = convert(text)
                except ValueError as error:
                    raise SettingsError(variable, text, str(error)) from None
        if env.get("RUNSTREAM_CAPTURE_ENV", "unset").strip().lower() in ("", *FALSE):
            values["capture_env"] = ()
        values.setdefault("dir", default_dir(env))
        values["rank"] = _rank(env)
        values["client_options"] = {k: v for k, v in env.items() if k.startswith("RUNSTREAM_KAFKA_") and v}
        try:
            return cls(**values)
        except SettingsError as error:
            variable = VARIABLES.get(error.name, (error.name, None))[0]
            raise SettingsError(variable, error.value, str(error).split(": ", 1)[1]) from None


def default_dir(env: Mapping[str, str]) -> Path:
    """The user's data directory for this application.

    The same path that `platformdirs.user_data_dir("runstream")` gives; on Linux it is computed here, because
    importing platformdirs costs more than the rest of `init()`.
    """
    if sys.platform.startswith("linux"):
        base = env.get("XDG_DATA_HOME", "").strip()
        return (Path(base) if base else Path("~/.local/share").expanduser()) / "runstream"
    import platformdirs

    return Path(platformdirs.user_data_dir("runstream"))


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(name, value, "one of " + ", ".join(allowed))


def _rank(env: Mapping[str, str]) -> int:
    for variable in ("RUNSTREAM_RANK", "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        text = env.get(variable, "").strip()
        if text.isdecimal():
            return int(text)
        if text and variable == "RUNSTREAM_RANK":
            raise SettingsError(variable, text, "a whole number from 0")
    return 0


def _object_directory(directory: Path) -> str:
    return (directory / "objects").as_uri()


def _directory(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _flag(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError("1 or 0")


def _console(text: str) -> str:
    return "1" if text.lower() in TRUE else "0" if text.lower() in FALSE else text.lower()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _allowed_environment(text: str) -> tuple[str, ...]:
    if text.lower() in TRUE:
        return tuple(ENVIRONMENT_ALLOWED.split(","))
    return () if text.lower() in FALSE else _words(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise ValueError("seconds, 0 or more")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _size(text: str) -> int:
    """Bytes as a number, or with the unit K, M, G or T (powers of 1024)."""
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if match is None:
        raise ValueError("bytes, such as 1048576, 16M or 20G")
    return int(match[1]) << (10 * " KMGT".index(match[2].upper() or " "))


VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "dir": ("RUNSTREAM_DIR", _directory),
    "project": ("RUNSTREAM_PROJECT", str),
    "mode": ("RUNSTREAM_MODE", str),
    "kafka": ("RUNSTREAM_KAFKA", str),
    "topic_prefix": ("RUNSTREAM_TOPIC_PREFIX", str),
    "clickhouse": ("RUNSTREAM_CLICKHOUSE", str),
    "s3": ("RUNSTREAM_S3", str),
    "agent": ("RUNSTREAM_AGENT", str),
    "run_id": ("RUNSTREAM_RUN_ID", str),
    "attempt": ("RUNSTREAM_ATTEMPT", _whole),
    "name": ("RUNSTREAM_NAME", str),
    "group": ("RUNSTREAM_GROUP", str),
    "job_type": ("RUNSTREAM_JOB_TYPE", str),
    "tags": ("RUNSTREAM_TAGS", _words),
    "notes": ("RUNSTREAM_NOTES", str),
    "parent_run": ("RUNSTREAM_PARENT_RUN", str),
    "reinit": ("RUNSTREAM_REINIT", str),
    "quiet": ("RUNSTREAM_QUIET", _flag),
    "ui_url": ("RUNSTREAM_UI_URL", str),
    "finish_timeout_s": ("RUNSTREAM_FINISH_TIMEOUT_S", _seconds),
    "max_metrics": ("RUNSTREAM_MAX_METRICS", _whole),
    "segment_bytes": ("RUNSTREAM_SEGMENT_BYTES", _size),
    "segment_max_bytes": ("RUNSTREAM_SEGMENT_MAX_BYTES", _size),
    "spool_max_bytes": ("RUNSTREAM_SPOOL_MAX_BYTES", _size),
    "on_full": ("RUNSTREAM_ON_FULL", str),
    "block_timeout_s": ("RUNSTREAM_BLOCK_TIMEOUT_S", _seconds),
    "keep": ("RUNSTREAM_KEEP", str),
    "ingest_group": ("RUNSTREAM_INGEST_GROUP", str),
    "preempt_signals": ("RUNSTREAM_PREEMPT_SIGNALS", _words),
    "console": ("RUNSTREAM_CONSOLE", _console),
    "console_max_bytes": ("RUNSTREAM_CONSOLE_MAX_BYTES", _size),
    "console_max_rate": ("RUNSTREAM_CONSOLE_MAX_RATE", _size),
    "system": ("RUNSTREAM_SYSTEM", _flag),
    "system_interval_s": ("RUNSTREAM_SYSTEM_INTERVAL_S", _seconds),
    "capture": ("RUNSTREAM_CAPTURE", _flag),
    "capture_git": ("RUNSTREAM_CAPTURE_GIT", _flag),
    "capture_diff": ("RUNSTREAM_CAPTURE_DIFF", _flag),
    "capture_diff_max_bytes": ("RUNSTREAM_CAPTURE_DIFF_MAX_BYTES", _size),
    "capture_wait_s": ("RUNSTREAM_CAPTURE_WAIT_S", _seconds),
    "capture_notebook": ("RUNSTREAM_CAPTURE_NOTEBOOK", _flag),
    "capture_packages": ("RUNSTREAM_CAPTURE_PACKAGES", _flag),
    "capture_sources": ("RUNSTREAM_CAPTURE_SOURCES", _flag),
    "capture_command": ("RUNSTREAM_CAPTURE_COMMAND", _flag),
    "capture_machine": ("RUNSTREAM_CAPTURE_MACHINE", _flag),
    "capture_container": ("RUNSTREAM_CAPTURE_CONTAINER", _flag),
    "capture_job": ("RUNSTREAM_CAPTURE_JOB", _flag),
    "capture_determinism": ("RUNSTREAM_CAPTURE_DETERMINISM", _flag),
    "save_code": ("RUNSTREAM_SAVE_CODE", _flag),
    "dataset_cache": ("RUNSTREAM_DATASET_CACHE", _flag),
    "capture_env": ("RUNSTREAM_CAPTURE_ENV", _allowed_environment),
}
