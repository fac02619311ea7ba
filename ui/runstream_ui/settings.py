"""What the pages read from, and where they are served."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UiSettings(BaseSettings):
    """Read once at the edge; see docs/architecture.md for the variables."""

    model_config = SettingsConfigDict(env_prefix="RUNSTREAM_", frozen=True, extra="ignore")

    clickhouse: SecretStr | None = Field(
        default=None, description="http://user:password@host:port/database; unset: the running `runstream up` of `dir`"
    )
    s3: SecretStr | None = Field(
        default=None, description="http(s)://access:secret@host:port/bucket or file:///dir; unset: file://<dir>/objects"
    )
    ui_files: Literal["direct", "through"] = Field(
        default="direct",
        description="how browsers get artifact files out of an S3 store: direct, by addresses of the store that are "
        "good for 15 minutes, or through this process, where browsers cannot reach the store",
    )
    ui_actor: str = Field(
        default="", description="under whose name edits of these pages are kept; unset: user@host of the server"
    )
    ui_actor_header: str = Field(
        default="",
        description="name of the HTTP header in which a trusted proxy says who visits, such as X-Forwarded-User; a "
        "visit without it may not edit",
    )
    ui_read_only: bool = Field(default=False, description="1: the pages change nothing, and say so")
    dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("runstream", appauthor=False)),
        description="data directory",
    )

    @property
    def object_store_url(self) -> str:
        if self.s3 is not None:
            return self.s3.get_secret_value()
        return (self.dir.expanduser().absolute() / "objects").as_uri()
