"""Which ClickHouse a command talks to: the one that is named, or the `runstream up` of the data directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.objects import ObjectStore
    from runstream.settings import Settings

Url = Annotated[
    str | None,
    typer.Option(
        "--clickhouse", envvar="RUNSTREAM_CLICKHOUSE", help="http://user:password@host:port/database", show_envvar=True
    ),
]
Directory = Annotated[
    str | None,
    typer.Option("--dir", envvar="RUNSTREAM_DIR", help="Data directory.", show_envvar=True),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]


def settings_of(directory: str | None = None, clickhouse: str | None = None) -> Settings:
    """The producer's settings from the environment, with what the command line says on top."""
    from runstream.settings import Settings

    environment = dict(os.environ)
    if directory:
        environment["RUNSTREAM_DIR"] = directory
    if clickhouse:
        environment["RUNSTREAM_CLICKHOUSE"] = clickhouse
    return Settings.from_env(environment)


def database_url(settings: Settings, *, owner: bool = False) -> str:
    """`RUNSTREAM_CLICKHOUSE`, or the endpoint of the running `runstream up`: its reader, or its `owner`, who may write.

    Raises NoDatabase when there is neither.
    """
    from runstream_deploy.errors import NoDatabase
    from runstream_storage.discovery import find_up

    if settings.clickhouse:
        return settings.clickhouse
    running = find_up(settings.dir)
    if running is None:
        raise NoDatabase(directory=settings.dir)
    return running.database_url if owner else running.sql_url


def store_of(settings: Settings) -> ObjectStore:
    """The object store of the database that is asked."""
    from runstream.objects import open_store
    from runstream_storage.discovery import find_up

    running = None if settings.clickhouse else find_up(settings.dir)
    return open_store(running.objects_url if running else settings.s3)


def check_may_write(client: Client) -> None:
    """Raises ReadOnlyUser: else the driver refuses a setting of ours, which says nothing to an operator."""
    from runstream_deploy.errors import ReadOnlyUser

    user, readonly = client.query("SELECT currentUser(), toString(getSetting('readonly'))").result_rows[0]
    if readonly != "0":
        raise ReadOnlyUser(user=user)


def open_client(environment: Mapping[str, str]) -> Client:
    """A client for what `environment` names, on top of this process's own environment."""
    from runstream.settings import Settings
    from runstream_storage.connection import connect

    return connect(database_url(Settings.from_env({**os.environ, **environment})))
