"""Record training runs as event streams: `init()`, then `log()`.

>>> import runstream
>>> run = runstream.init(project="digits", config={"lr": 0.1})
>>> run.log({"loss": 0.5})
>>> run.finish()
"""

from typing import TYPE_CHECKING, Any

from runstream import models
from runstream.artifacts import Artifact, LoggedArtifact
from runstream.current import (
    current_run,
    define_metric,
    finish,
    fork,
    init,
    log,
    log_artifact,
    log_code,
    log_dataset,
    log_histograms,
    register_model,
    rewind,
    unwatch,
    use_artifact,
    wait,
    watch,
)
from runstream.errors import (
    ArtifactError,
    EditNotWritten,
    EditRefused,
    LookupFailed,
    ModelNotFound,
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

if TYPE_CHECKING:
    from runstream.media.figures import Figure
    from runstream.media.histograms import Histogram
    from runstream.media.images import Image
    from runstream.media.objects3d import Object3D
    from runstream.media.sounds import Audio
    from runstream.media.tables import Table
    from runstream.media.texts import File, Html, Text
    from runstream.media.videos import Video

__all__ = [
    "Artifact",
    "ArtifactError",
    "ArtifactVersion",
    "Audio",
    "Config",
    "EditNotWritten",
    "EditRefused",
    "Figure",
    "File",
    "Histogram",
    "Html",
    "Image",
    "Lag",
    "LoggedArtifact",
    "LookupFailed",
    "ModelNotFound",
    "NoRunError",
    "Object3D",
    "PointsDropped",
    "Run",
    "RunExistsError",
    "RunNotFoundError",
    "RunstreamError",
    "Settings",
    "SettingsError",
    "Summary",
    "Table",
    "Text",
    "UsedArtifact",
    "Video",
    "artifact",
    "current_run",
    "define_metric",
    "finish",
    "fork",
    "init",
    "log",
    "log_artifact",
    "log_code",
    "log_dataset",
    "log_histograms",
    "models",
    "register_model",
    "rewind",
    "unwatch",
    "use_artifact",
    "wait",
    "watch",
]

_VALUES = {
    "Audio": "sounds",
    "Figure": "figures",
    "File": "texts",
    "Histogram": "histograms",
    "Html": "texts",
    "Image": "images",
    "Object3D": "objects3d",
    "Table": "tables",
    "Text": "texts",
    "Video": "videos",
}
"""Rich values and their modules below `runstream.media`, which are loaded when they are asked for."""


def __getattr__(name: str) -> Any:
    """`runstream.run`, `.config`, `.summary` and `.tags` of the current run. Raises NoRunError without one."""
    if name in _VALUES:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"runstream.media.{_VALUES[name]}"), name)
        return value
    if name == "run":
        return current_run("run")
    if name in ("config", "summary", "tags"):
        return getattr(current_run(name), name)
    raise AttributeError(f"module 'runstream' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "config", "run", "summary", "tags"])
