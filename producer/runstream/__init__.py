"""Record training runs as event streams: `init()`, then `log()`.

>>> import runstream
>>> run = runstream.init(project="digits", config={"lr": 0.1})
>>> run.log({"loss": 0.5})
>>> run.finish()
"""

from typing import Any

from runstream.artifacts import Artifact, LoggedArtifact
from runstream.current import (
    current_run,
    define_metric,
    finish,
    fork,
    init,
    log,
    log_artifact,
    register_model,
    rewind,
    use_artifact,
    wait,
)
from runstream.errors import (
    ArtifactError,
    EditNotWritten,
    EditRefused,
    LookupFailed,
    NoRunError,
    PointsDropped,
    RunExistsError,
    RunNotFoundError,
    RunstreamError,
    SettingsError,
)
from runstream.flow import Lag
from runstream.parameters import Config, Summary
from runstream.runs import Run
from runstream.settings import Settings
from runstream.versions import ArtifactVersion, UsedArtifact, artifact

__all__ = [
    "Artifact",
    "ArtifactError",
    "ArtifactVersion",
    "Config",
    "EditNotWritten",
    "EditRefused",
    "Lag",
    "LoggedArtifact",
    "LookupFailed",
    "NoRunError",
    "PointsDropped",
    "Run",
    "RunExistsError",
    "RunNotFoundError",
    "RunstreamError",
    "Settings",
    "SettingsError",
    "Summary",
    "UsedArtifact",
    "artifact",
    "current_run",
    "define_metric",
    "finish",
    "fork",
    "init",
    "log",
    "log_artifact",
    "register_model",
    "rewind",
    "use_artifact",
    "wait",
]


def __getattr__(name: str) -> Any:
    """`runstream.run`, `.config`, `.summary` and `.tags` of the current run. Raises NoRunError without one."""
    if name == "run":
        return current_run("run")
    if name in ("config", "summary", "tags"):
        return getattr(current_run(name), name)
    raise AttributeError(f"module 'runstream' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "config", "run", "summary", "tags"])
