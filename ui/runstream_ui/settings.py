"""What the pages read from, and where they are served."""

from __future__ import annotations

from pathlib import Path

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
    dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("runstream", appauthor=False)),
        description="data directory",
    )

    @property
    def object_store_url(self) -> str:
        if self.s3 is not None:
            return self.s3.get_secret_value()
        return (self.dir.expanduser().absolute() / "objects").as_uri()
