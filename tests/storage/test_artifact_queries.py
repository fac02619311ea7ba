from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries

pytestmark = pytest.mark.clickhouse


class Shelf:
    def __init__(self, pen: Any) -> None:
        self.pen = pen

    def log(
        self, run_id: str, name: str, digest: str, at: int, *, aliases: tuple[str, ...] = (), type: str = "model"
    ) -> None:
        at_us = self.pen.start_us + at
        self.pen.insert(
            "artifacts",
            project="vision",
            name=name,
            digest=digest,
            type=type,
            run_id=run_id,
            created_us=at_us,
            size=7,
            files=[("a/b.txt", "f" * 64, 3, "text/plain", ""), ("c", "e" * 64, 4, "application/octet-stream", "")],
            metadata='{"k": 1}',
            description="",
            ver=at,
        )
        self.link(run_id, name, digest, "out", "", at)
        for alias in aliases:
            self.alias(name, alias, digest, at)

    def alias(self, name: str, alias: str, digest: str, at: int, *, deleted: bool = False) -> None:
        self.pen.insert(
            "artifact_aliases",
            project="vision",
            name=name,
            alias=alias,
            digest=digest,
            actor="",
            ver=at,
            is_deleted=int(deleted),
        )

    def link(self, run_id: str, name: str, digest: str, role: str, version: str, at: int) -> None:
        self.pen.insert(
            "artifact_links",
            project="vision",
            run_id=run_id,
            name=name,
            role=role,
            digest=digest,
            version=version,
            ts_us=self.pen.start_us + at,
            ver=at,
        )


@pytest.fixture
def shelf(pen: Any) -> Shelf:
    return Shelf(pen)


def test_what_is_awaited_is_pending_until_it_arrives_or_is_lost(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    says = {"project": "vision", "run_id": run_id, "writer": 1, "kind": "ArtifactLogged", "type": "model"}
    for at, name in enumerate(("net", "lost", "there")):
        pen.insert("awaited", **says, name=name, ts_us=pen.start_us + at, files=2, size=7, state="pending", turn=0)
    pen.insert("awaited", **says, name="lost", ts_us=pen.start_us + 1, state="lost", reason="gone", turn=1)
    pen.insert("awaited", **says, name="there", ts_us=pen.start_us + 2, state="arrived", turn=2)
    # Word that comes late changes nothing.
    pen.insert("awaited", **says, name="there", ts_us=pen.start_us + 2, state="pending", turn=0)
    found = queries.run_awaited(client, "vision", run_id)
    assert [(one.name, one.state, one.reason, one.n_files, one.size) for one in found] == [
        ("net", "pending", "", 2, 7),
        ("lost", "lost", "gone", 0, 0),
    ]
    assert client.query("SELECT name, state FROM v_awaited ORDER BY logged_at").result_rows == [
        ("net", "pending"),
        ("lost", "lost"),
    ]


def test_versions_count_up_in_order_of_logging(client: Client, pen: Any, shelf: Shelf) -> None:
    run_id = pen.run(0, name="maker")
    shelf.log(run_id, "net", "d" * 64, 1, aliases=("best",))
    shelf.log(run_id, "net", "a" * 64, 2)
    shelf.log(pen.run(1), "net", "d" * 64, 3)  # the same content again is the same version
    found = queries.artifact_versions(client, "vision", "net")
    assert [(v.version, v.digest[0], v.aliases, v.run_name) for v in found] == [
        ("v1", "a", ("latest",), "maker"),
        ("v0", "d", ("best",), "maker"),
    ]
    assert (found[0].size, found[0].n_files, found[0].metadata, found[0].files) == (7, 2, {"k": 1}, ())


def test_an_alias_points_at_one_version_and_can_go(client: Client, pen: Any, shelf: Shelf) -> None:
    run_id = pen.run(0)
    shelf.log(run_id, "net", "d" * 64, 1, aliases=("best", "old"))
    shelf.log(run_id, "net", "a" * 64, 2)
    shelf.alias("net", "best", "a" * 64, 3)
    shelf.alias("net", "old", "d" * 64, 4, deleted=True)
    assert [v.aliases for v in queries.artifact_versions(client, "vision", "net")] == [("best", "latest"), ()]


@pytest.mark.parametrize(
    ("asked", "digest"),
    [
        ("latest", "a"),
        ("v0", "d"),
        ("v1", "a"),
        ("best", "d"),
        ("d" * 64, "d"),
        ("d" * 8, "d"),
        ("d" * 7, ""),
        ("v2", ""),
    ],
)
def test_a_version_goes_by_number_alias_or_digest(
    client: Client, pen: Any, shelf: Shelf, asked: str, digest: str
) -> None:
    run_id = pen.run(0)
    shelf.log(run_id, "net", "d" * 64, 1, aliases=("best",))
    shelf.log(run_id, "net", "a" * 64, 2)
    found = queries.artifact(client, "vision", "net", asked)
    assert (found.digest[:1] if found else "") == digest
    if found:
        assert [file.path for file in found.files] == ["a/b.txt", "c"]
        assert found.files[0].key == f"sha256/ff/{'f' * 64}"


def test_a_run_lists_what_it_made_and_read(client: Client, pen: Any, shelf: Shelf) -> None:
    maker, reader = pen.run(0), pen.run(1)
    shelf.log(maker, "net", "d" * 64, 1)
    shelf.link(reader, "net", "d" * 64, "in", "latest", 2)
    shelf.link(reader, "elsewhere", "", "in", "v3", 3)
    (made,) = queries.run_artifacts(client, "vision", maker)
    assert (made.role, made.artifact.version if made.artifact else "") == ("out", "v0")
    read = queries.run_artifacts(client, "vision", reader)
    assert [(link.role, link.name, link.asked, link.artifact is None) for link in read] == [
        ("in", "net", "latest", False),
        ("in", "elsewhere", "v3", True),
    ]


def test_names_show_the_newest_version(client: Client, pen: Any, shelf: Shelf) -> None:
    run_id = pen.run(0)
    shelf.log(run_id, "net", "d" * 64, 1)
    shelf.log(run_id, "net", "a" * 64, 5)
    shelf.log(run_id, "set", "b" * 64, 3, type="dataset")
    found = queries.artifact_names(client, ["vision"])
    assert [(a.name, a.type, a.versions, a.latest, a.size) for a in found] == [
        ("net", "model", 2, "v1", 7),
        ("set", "dataset", 1, "v0", 7),
    ]
    assert [a.name for a in queries.artifact_names(client, ["vision"], type="dataset")] == ["set"]
    assert queries.artifact_versions(client, "vision", "none") == []


def test_a_project_without_artifacts_has_none(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    assert queries.artifact_names(client, ["vision"]) == []
    assert queries.run_artifacts(client, "vision", run_id) == []
    assert queries.artifact(client, "vision", "net") is None
