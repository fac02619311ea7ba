"""Artifacts as people change them, models, lineage, audit, and what may be removed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.execution import moment
from runstream_storage.queries import LineageKey

from .conftest import START_US, Pen, uuid7, version

pytestmark = pytest.mark.clickhouse
MINUTE = 60_000_000
NO_RUN = "00000000-0000-0000-0000-000000000000"


def edit_ver(minute: float) -> int:
    return version(int(START_US + minute * MINUTE))


class Registry:
    """Writes the rows of artifacts, models and the audit as ingest does; times are minutes after the start."""

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.project = pen.project

    def artifact(
        self,
        run_id: str,
        name: str,
        digest: str,
        *,
        at: float = 0,
        type: str = "model",
        files: Sequence[tuple[str, str, int]] = (("m.bin", "aa", 3),),
        expires: float = 0,
        score: float = float("nan"),
        keep_best: int = 0,
        keep_goal: str = "minimize",
        ref: str = "",
    ) -> None:
        at_us = int(START_US + at * MINUTE)
        ver = version(at_us)
        self.pen.insert(
            "artifacts",
            project=self.project,
            name=name,
            digest=digest,
            type=type,
            run_id=run_id,
            created_us=at_us,
            size=sum(size for _, _, size in files),
            files=[(path, sha256, size, "text/plain", ref) for path, sha256, size in files],
            metadata='{"acc": 1}',
            description="as logged",
            expires_us=int(START_US + expires * MINUTE) if expires else 0,
            score=score,
            keep_best=keep_best,
            keep_goal=keep_goal,
            ver=ver,
            keep=2**64 - 1 - ver,
        )
        self.link(run_id, name, digest, "out", at=at)

    def link(
        self, run_id: str, name: str, digest: str, role: str, *, at: float = 0, asked: str = "latest", of: str = ""
    ) -> None:
        at_us = int(START_US + at * MINUTE)
        self.pen.insert(
            "artifact_links",
            project=self.project,
            run_id=run_id,
            name=name,
            role=role,
            digest=digest,
            version=asked if role == "in" else "",
            artifact_project=of or self.project,
            ts_us=at_us,
            ver=version(at_us),
        )

    def alias(self, name: str, alias: str, digest: str, *, at: float = 1, gone: bool = False) -> None:
        self.pen.insert(
            "artifact_aliases",
            project=self.project,
            name=name,
            alias=alias,
            digest=digest,
            actor="ana",
            ver=edit_ver(at),
            is_deleted=int(gone),
        )

    def attribute(
        self, name: str, digest: str, key: str, value: str = "", *, at: float = 1, gone: bool = False
    ) -> None:
        self.pen.insert(
            "artifact_attrs",
            project=self.project,
            name=name,
            digest=digest,
            key=key,
            value=value,
            actor="ana",
            ver=edit_ver(at),
            is_deleted=int(gone),
        )

    def dataset(self, run_id: str, name: str, digest: str, *, context: str = "training", rows: int = 10) -> None:
        self.pen.insert(
            "datasets",
            project=self.project,
            run_id=run_id,
            name=name,
            context=context,
            digest=digest,
            kind="table",
            source="s3://b/x",
            rows=rows,
            size=-1,
            schema='{"a": "int"}',
            profile='{"a": {"min": 1}}',
            ts_us=START_US,
            ver=version(START_US),
        )

    def model(
        self,
        action: str,
        at: float,
        *,
        model: str = "classifier",
        artifact: str = "",
        digest: str = "",
        value: str = "",
        note: str = "",
        actor: str = "ana",
        of: str = "",
    ) -> None:
        at_us = int(START_US + at * MINUTE)
        self.pen.insert(
            "model_events",
            project=self.project,
            model=model,
            ts_us=at_us,
            writer=7,
            action=action,
            artifact=artifact,
            digest=digest,
            artifact_project=of or self.project,
            value=value,
            note=note,
            actor=actor,
            run_id=NO_RUN,
            ver=version(at_us, writer=7),
        )

    def audit(
        self, at: float, action: str, *, seq: int = 0, subject: str = "", run_id: str = NO_RUN, **columns: Any
    ) -> None:
        values = {"actor": "ana@host", "kind": "Attributes", "value": ""} | columns
        self.pen.insert(
            "audit",
            project=self.project,
            ts_us=int(START_US + at * MINUTE),
            writer=7,
            seq=seq,
            run_id=run_id,
            subject=subject,
            action=action,
            **values,
        )


@pytest.fixture
def registry(pen: Pen) -> Registry:
    return Registry(pen)


def versions(client: Client, **choice: Any) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.version, one.aliases) for one in queries.artifact_versions(client, "vision", "net", **choice)]


# Artifacts


def test_people_change_tags_texts_and_expiry_of_a_version(client: Client, pen: Pen, registry: Registry) -> None:
    registry.artifact(pen.run(1), "net", "d1", expires=5)
    registry.attribute("net", "d1", "tag:b")
    registry.attribute("net", "d1", "tag:a")
    registry.attribute("net", "d1", "tag:c")
    registry.attribute("net", "d1", "tag:c", at=2, gone=True)
    (found,) = queries.artifact_versions(client, "vision", "net")
    assert (found.tags, found.description, found.metadata) == (("a", "b"), "as logged", {"acc": 1})
    assert (found.expires_at, found.score, found.deleted) == (moment(START_US + 5 * MINUTE), None, False)
    registry.attribute("net", "d1", "description", "edited")
    registry.attribute("net", "d1", "metadata", '{"k": [1]}')
    registry.attribute("net", "d1", "expires_us", "0")
    (found,) = queries.artifact_versions(client, "vision", "net")
    assert (found.description, found.metadata, found.expires_at) == ("edited", {"k": [1]}, None)
    assert [(tag.name, tag.runs) for tag in queries.artifact_tags(client, ["vision"])] == [("a", 1), ("b", 1)]


def test_a_deleted_version_keeps_its_number_and_gives_latest_away(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1)
    for number in range(3):
        registry.artifact(run_id, "net", f"d{number}", at=number)
    registry.attribute("net", "d2", "deleted", "true", at=5)
    assert versions(client) == [("v1", ("latest",)), ("v0", ())]
    assert versions(client, include_deleted=True)[0] == ("v2", ())
    assert queries.artifact(client, "vision", "net", "v2") is None
    assert queries.artifact(client, "vision", "net", "v2", include_deleted=True) is not None
    assert [(n.versions, n.latest) for n in queries.artifact_names(client, ["vision"])] == [(2, "v1")]
    registry.attribute("net", "d2", "deleted", at=6, gone=True)
    assert versions(client)[0] == ("v2", ("latest",))


def test_content_that_is_logged_again_after_its_deletion_is_back(client: Client, pen: Pen, registry: Registry) -> None:
    registry.artifact(pen.run(1), "net", "d0")
    registry.attribute("net", "d0", "deleted", "true", at=5)
    assert versions(client) == []
    registry.artifact(pen.run(2), "net", "d0", at=9)
    (found,) = queries.artifact_versions(client, "vision", "net")
    assert (found.version, found.deleted) == ("v0", False)


def test_a_deleted_artifact_hides_the_versions_it_had(client: Client, pen: Pen, registry: Registry) -> None:
    registry.artifact(pen.run(1), "net", "d0")
    registry.attribute("net", "", "deleted", "true", at=5)
    assert queries.artifact_names(client, ["vision"]) == []
    assert [n.name for n in queries.artifact_names(client, ["vision"], include_deleted=True)] == ["net"]
    registry.artifact(pen.run(1), "net", "d1", at=9)
    assert versions(client) == [("v1", ("latest",))]


def test_artifacts_are_found_by_name_type_and_tag_and_paged(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1)
    for number in range(4):
        registry.artifact(run_id, f"Net-{number}", f"d{number}", at=number, type="model" if number else "data")
    registry.attribute("Net-2", "d2", "tag:good")

    def names(**choice: Any) -> list[str]:
        return [n.name for n in queries.artifact_names(client, ["vision"], **choice)]

    assert names(limit=2) == ["Net-3", "Net-2"]
    assert names(limit=2, offset=2) == ["Net-1", "Net-0"]
    assert names(type="data") == ["Net-0"]
    assert names(search="net-1") == ["Net-1"]
    assert names(tag="good") == ["Net-2"]
    assert names(tag="none") == []


def test_versions_are_searched_and_paged(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1)
    for number in range(5):
        registry.artifact(run_id, "net", f"digest{number}", at=number)
    registry.alias("net", "best", "digest1")
    registry.attribute("net", "digest3", "tag:Great")
    assert [number for number, _ in versions(client, limit=2, offset=1)] == ["v3", "v2"]
    assert versions(client, search="BEST") == [("v1", ("best",))]
    assert [number for number, _ in versions(client, search="great")] == ["v3"]
    assert [number for number, _ in versions(client, search="digest0")] == ["v0"]


def test_files_are_listed_folder_by_folder(client: Client, pen: Pen, registry: Registry) -> None:
    paths = ["a.txt", "dir/b.txt", "dir/sub/c.txt", "dir/sub/d.txt", "dirx/e.txt", "größe/f.txt"]
    registry.artifact(pen.run(1), "net", "d0", files=[(path, "ab", 2) for path in paths])

    def listed(folder: str = "", **choice: Any) -> list[tuple[str, int, int]]:
        found = queries.artifact_files(client, "vision", "net", "d0", folder=folder, **choice)
        return [(entry.path, entry.files, entry.size) for entry in found.entries]

    assert listed() == [("dir/", 3, 6), ("dirx/", 1, 2), ("größe/", 1, 2), ("a.txt", 1, 2)]
    assert listed("dir") == listed("/dir/") == [("dir/sub/", 2, 4), ("dir/b.txt", 1, 2)]
    assert listed("größe") == [("größe/f.txt", 1, 2)]
    assert listed("di") == []
    assert listed(contains="C.TXT") == [("dir/sub/c.txt", 1, 2)]
    page = queries.artifact_files(client, "vision", "net", "d0", limit=1, offset=1)
    assert ([entry.name for entry in page.entries], page.total) == (["dirx"], 4)
    assert queries.artifact_files(client, "vision", "net", "none").total == 0


def test_a_referenced_file_has_an_address(client: Client, pen: Pen, registry: Registry) -> None:
    registry.artifact(pen.run(1), "net", "d0", ref="s3://bucket/key")
    found = queries.artifact(client, "vision", "net")
    assert found is not None
    assert found.files[0].ref == "s3://bucket/key"
    (entry,) = queries.artifact_files(client, "vision", "net", "d0").entries
    assert entry.file == found.files[0]


# Lineage


def key(kind: Any, name: str, id: str) -> LineageKey:
    return LineageKey(kind, name, id)


def chain(pen: Pen, registry: Registry) -> list[str]:
    """A dataset, a run that makes data of it, one that trains on that, one that evaluates the model."""
    runs = [pen.run(number, name=f"run {number}") for number in (1, 2, 3)]
    registry.dataset(runs[0], "images", "ds1")
    registry.artifact(runs[0], "data", "a1", type="data")
    registry.link(runs[1], "data", "a1", "in", at=1)
    registry.artifact(runs[1], "net", "a2", at=2)
    registry.link(runs[2], "net", "a2", "in", at=3)
    return runs


def drawn(found: queries.Lineage) -> tuple[set[str], set[tuple[str, str]]]:
    label = {node.key: f"{node.kind} {node.name}{':' if node.version else ''}{node.version}" for node in found.nodes}
    return set(label.values()), {(label[edge.source], label[edge.target]) for edge in found.edges}


def test_lineage_leads_to_sources_and_to_what_was_made(client: Client, pen: Pen, registry: Registry) -> None:
    runs = chain(pen, registry)
    registry.model("register", 5, artifact="net", digest="a2")
    found = queries.lineage(client, "vision", key("artifact", "net", "a2"))
    nodes, edges = drawn(found)
    assert edges == {
        ("dataset images", "run run 1"),
        ("run run 1", "artifact data:v0"),
        ("artifact data:v0", "run run 2"),
        ("run run 2", "artifact net:v0"),
        ("artifact net:v0", "run run 3"),
        ("artifact net:v0", "model classifier:v1"),
    }
    assert nodes == {end for edge in edges for end in edge}
    assert found.nodes[0].key == found.root == LineageKey("artifact", "net", "a2", "vision")
    assert not found.truncated
    for root in (key("run", "", runs[1].upper()), key("dataset", "", "ds1"), key("model", "classifier", "v1")):
        again = queries.lineage(client, "vision", root, upstream=9, downstream=9)
        assert root.kind == "model" or drawn(again)[1] == edges
        assert ("run run 1", "artifact data:v0") in drawn(again)[1]


def test_lineage_goes_through_projects(client: Client, pen: Pen, registry: Registry) -> None:
    """The same digest, and the same run id, in a third project stay out of it."""
    chain(pen, registry)
    for project in ("shop", "other"):
        there = Pen(client, project)
        books = Registry(there)
        run_id = there.run(9, name=f"of {project}")
        if project == "shop":
            books.link(run_id, "net", "a2", "in", at=5, of="vision")
        else:
            books.link(run_id, "net", "a2", "in", at=5)
        books.artifact(run_id, "served", "b1", at=6)
    found = queries.lineage(client, "vision", key("dataset", "", "ds1"), downstream=9)
    nodes, edges = drawn(found)
    assert {("artifact net:v0", "run of shop"), ("run of shop", "artifact served:v0")} <= edges
    assert "run of other" not in nodes
    assert {node.key.project for node in found.nodes if node.name in ("of shop", "served")} == {"shop"}
    (read,) = [link for link in queries.run_artifacts(client, "shop", found_run(found, "of shop")) if link.role == "in"]
    assert (read.project, read.artifact.version if read.artifact else "") == ("vision", "v0")
    back = queries.lineage(client, "shop", key("artifact", "served", "b1"), upstream=9)
    assert ("dataset images", "run run 1") in drawn(back)[1]
    told = client.query("SELECT project, from_project, from_name, to_name FROM v_lineage WHERE project != from_project")
    assert told.result_rows == [("shop", "vision", "net:v0", "of shop")]


def found_run(graph: queries.Lineage, name: str) -> str:
    return next(node.key.id for node in graph.nodes if node.name == name)


def test_lineage_stops_at_depth_and_limit(client: Client, pen: Pen, registry: Registry) -> None:
    runs = chain(pen, registry)
    near = queries.lineage(client, "vision", key("artifact", "net", "a2"), upstream=1, downstream=0)
    assert drawn(near)[1] == {("run run 2", "artifact net:v0")}
    assert not near.truncated
    few = queries.lineage(client, "vision", key("run", "", runs[1]), limit=3)
    assert len(few.nodes) == 3
    assert few.truncated


def test_lineage_leaves_deleted_runs_out_and_bears_circles(client: Client, pen: Pen, registry: Registry) -> None:
    runs = chain(pen, registry)
    registry.link(runs[1], "net", "a2", "in", at=4)
    pen.attribute(runs[2], "deleted")
    nodes, edges = drawn(queries.lineage(client, "vision", key("artifact", "net", "a2")))
    assert "run run 3" not in nodes
    assert {("run run 2", "artifact net:v0"), ("artifact net:v0", "run run 2")} <= edges


def test_the_same_content_under_another_name_is_another_artifact(client: Client, pen: Pen, registry: Registry) -> None:
    registry.artifact(pen.run(1, name="one"), "net", "a2")
    registry.artifact(pen.run(2, name="two"), "copy", "a2")
    assert drawn(queries.lineage(client, "vision", key("artifact", "net", "a2")))[0] == {"artifact net:v0", "run one"}


def test_what_was_read_and_is_not_known_has_the_name_it_was_asked_by(
    client: Client, pen: Pen, registry: Registry
) -> None:
    run_id = pen.run(1)
    registry.link(run_id, "ghost", "", "in", asked="v7")
    (node,) = queries.lineage(client, "vision", key("run", "", run_id)).nodes[1:]
    assert (node.name, node.version) == ("ghost", "v7")
    assert queries.lineage(client, "vision", key("artifact", "none", "x")).edges == []
    assert queries.lineage(client, "vision", key("model", "none", "v1")).nodes == []


def test_datasets_lead_to_the_runs_that_read_them(client: Client, pen: Pen, registry: Registry) -> None:
    runs = [pen.run(number) for number in (1, 2, 3)]
    registry.dataset(runs[0], "train", "ds1")
    registry.dataset(runs[0], "check", "ds2", context="validation", rows=-1)
    registry.dataset(runs[1], "other name", "ds1")
    registry.dataset(runs[2], "train", "ds1")
    pen.attribute(runs[2], "deleted")
    found = queries.datasets(client, "vision", [runs[1], runs[0]])
    assert [(one.run_id, one.name) for one in found] == [
        (runs[1], "other name"),
        (runs[0], "train"),
        (runs[0], "check"),
    ]
    assert (found[1].rows, found[1].size, found[1].profile) == (10, None, {"a": {"min": 1}})
    assert {one.run_id for one in queries.dataset_runs(client, "vision", "ds1")} == {runs[0], runs[1]}
    assert queries.datasets(client, "vision", []) == []
    assert queries.datasets(client, "vision", [runs[2]]) == []
    assert len(queries.datasets(client, "vision", [runs[2]], include_deleted=True)) == 1


# Models


def register(pen: Pen, registry: Registry, count: int = 2) -> None:
    run_id = pen.run(1, name="maker")
    for number in range(count):
        registry.artifact(run_id, "net", f"d{number}", at=number)
        registry.model("register", 10 + number, artifact="net", digest=f"d{number}", note="first" if not number else "")


def test_versions_of_a_model_are_numbered_by_registration(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry)
    registry.model("register", 20, artifact="net", digest="d0", actor="ben")
    found = queries.model_versions(client, "vision", "classifier")
    assert [(one.version, one.artifact_version, one.digest) for one in found] == [
        ("v2", "v1", "d1"),
        ("v1", "v0", "d0"),
    ]
    assert (found[1].registered_by, found[1].run_name, found[1].run_id) == ("ana", "maker", uuid7(1))
    assert found[1].registered_at == moment(START_US + 10 * MINUTE)
    assert (found[1].changed_by, found[1].changed_at) == ("ben", moment(START_US + 20 * MINUTE))


def test_a_version_of_a_model_may_be_an_artifact_of_another_project(
    client: Client, pen: Pen, registry: Registry
) -> None:
    """An artifact with the same name and digest in the model's own project is another version."""
    register(pen, registry, 1)
    there = Pen(client, "research")
    books = Registry(there)
    maker = there.run(5, name="researcher")
    books.artifact(maker, "net", "d0", at=1, expires=2)
    theirs = {"artifact": "net", "digest": "d0", "of": "research"}
    registry.model("register", 12, **theirs)
    registry.model("alias", 13, value="champion", **theirs)
    registry.model("stage", 14, value="production", **theirs)
    registry.model("tag", 15, value="borrowed", **theirs)
    second, first = queries.model_versions(client, "vision", "classifier")
    assert (first.artifact_project, first.run_name, first.stage, first.aliases, first.tags) == (
        *("vision", "maker", "", ()),
        (),
    )
    assert (second.version, second.artifact_project, second.artifact_version, second.run_name, second.run_id) == (
        *("v2", "research", "v0", "researcher"),
        maker,
    )
    assert (second.stage, second.aliases, second.tags) == ("production", ("champion",), ("borrowed",))
    assert queries.model_history(client, "vision", "classifier")[0].version == "v2"
    assert queries.models(client, ["research"]) == []
    found = queries.lineage(client, "vision", key("model", "classifier", "v2"))
    assert ("run researcher", "artifact net:v0") in drawn(found)[1]
    onward = queries.lineage(client, "research", key("artifact", "net", "d0"))
    assert ("artifact net:v0", "model classifier:v2") in drawn(onward)[1]
    assert {node.key.project for node in onward.nodes if node.kind == "model"} == {"vision"}
    later = moment(int(START_US + 99 * MINUTE))
    assert queries.removable_versions(client, later, projects=["research"]) == []
    registry.model("delete", 20, **theirs)
    assert [one.version for one in queries.removable_versions(client, later, projects=["research"])] == ["v0"]


def test_the_last_word_on_a_model_version_counts(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry)
    version = {"artifact": "net", "digest": "d0"}
    registry.model("stage", 20, value="production", **version)
    registry.model("stage", 19, value="staging", **version)
    registry.model("approve", 21, note="fine", **version)
    registry.model("reject", 22, note="no, it is not", **version)
    registry.model("tag", 23, value="a", **version)
    registry.model("tag", 24, value="b", **version)
    registry.model("untag", 25, value="a", **version)
    registry.model("describe", 26, value="what it is", **version)
    one = queries.model_versions(client, "vision", "classifier")[1]
    assert (one.stage, one.verdict, one.note, one.tags, one.description) == (
        "production",
        "rejected",
        "no, it is not",
        ("b",),
        "what it is",
    )
    assert queries.model_versions(client, "vision", "classifier")[0].stage == ""


def test_an_alias_points_at_one_version_of_a_model(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry)

    def aliases() -> list[tuple[str, ...]]:
        return [one.aliases for one in queries.model_versions(client, "vision", "classifier")]

    registry.model("alias", 20, value="champion", artifact="net", digest="d0")
    assert aliases() == [(), ("champion",)]
    registry.model("alias", 21, value="champion", artifact="net", digest="d1")
    assert aliases() == [("champion",), ()]
    registry.model("unalias", 22, value="champion", artifact="net", digest="d0")  # It is elsewhere by now.
    assert aliases() == [("champion",), ()]
    registry.model("unalias", 23, value="champion", artifact="net", digest="d1")
    assert aliases() == [(), ()]
    registry.model("alias", 24, value="champion", artifact="net", digest="d0")
    assert aliases() == [(), ("champion",)]
    registry.model("unalias", 25, value="champion")
    assert aliases() == [(), ()]


def test_a_model_sums_its_versions_up(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry, 3)
    registry.model("stage", 20, value="staging", artifact="net", digest="d0")
    registry.model("stage", 20.5, value="staging", artifact="net", digest="d1")
    registry.model("alias", 21, value="champion", artifact="net", digest="d1")
    registry.model("describe", 22, value="digits")
    registry.model("tag", 23, value="vision", actor="ben")
    registry.model("delete", 24, artifact="net", digest="d2")
    (model,) = queries.models(client, ["vision"])
    assert (model.name, model.versions, model.latest) == ("classifier", 2, "v2")
    assert (model.stages, model.aliases) == ((("staging", "v2"),), (("champion", "v2"),))
    assert (model.tags, model.description, model.changed_by) == (("vision",), "digits", "ana")
    assert (model.created_at, model.changed_at) == (moment(START_US + 10 * MINUTE), moment(START_US + 24 * MINUTE))
    assert [m.name for m in queries.models(client, ["vision"], search="DIGI")] == ["classifier"]
    assert queries.models(client, ["vision"], search="nothing") == []


def test_deleted_models_and_versions_are_hidden_until_restored(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry)

    def known() -> list[str]:
        return [one.version for one in queries.model_versions(client, "vision", "classifier")]

    registry.model("delete", 20, artifact="net", digest="d1")
    assert known() == ["v1"]
    registry.model("restore", 21, artifact="net", digest="d1")
    assert known() == ["v2", "v1"]
    registry.model("delete", 22)
    assert known() == []
    assert queries.models(client, ["vision"]) == []
    (gone,) = queries.models(client, ["vision"], include_deleted=True)
    assert (gone.deleted, gone.versions) == (True, 0)
    registry.model("register", 23, artifact="net", digest="d1")
    assert known() == ["v2"]
    assert len(queries.models(client, ["vision"])) == 1
    registry.model("restore", 24)
    assert known() == ["v2", "v1"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [("", "v3"), ("latest", "v3"), ("v1", "v1"), ("champion", "v2"), ("production", "v2"), ("v9", ""), ("none", "")],
)
def test_a_model_version_goes_by_number_alias_or_stage(
    client: Client, pen: Pen, registry: Registry, asked: str, found: str
) -> None:
    register(pen, registry, 3)
    for digest in ("d0", "d1"):
        registry.model("stage", 20, value="production", artifact="net", digest=digest, actor=digest)
    registry.model("stage", 20.1, value="production", artifact="net", digest="d0")
    registry.model("stage", 20.2, value="production", artifact="net", digest="d1")
    registry.model("alias", 21, value="champion", artifact="net", digest="d1")
    one = queries.model_version(client, "vision", "classifier", asked)
    assert (one.version if one else "") == found


def test_the_history_of_a_model_is_the_newest_first(client: Client, pen: Pen, registry: Registry) -> None:
    register(pen, registry, 1)
    registry.model("describe", 11, value="digits")
    registry.model("stage", 12, value="staging", note="good", artifact="net", digest="d0", actor="ben")
    found = queries.model_history(client, "vision", "classifier")
    assert [(one.action, one.version, one.value, one.note, one.actor) for one in found] == [
        ("stage", "v1", "staging", "good", "ben"),
        ("describe", "", "digits", "", "ana"),
        ("register", "v1", "", "first", "ana"),
    ]
    assert len(queries.model_history(client, "vision", "classifier", limit=1)) == 1


# Audit


def test_the_audit_is_paged_from_the_newest(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1, name="mine")
    pen.attribute(run_id, "deleted")
    for number in range(5):
        registry.audit(1, f"set {number}", seq=number, run_id=run_id)
    registry.audit(1, "set 4", seq=4, run_id=run_id)
    first = queries.audit(client, "vision", limit=3)
    assert [change.action for change in first.changes] == ["set 4", "set 3", "set 2"]
    assert first.more
    assert (first.changes[0].run_id, first.changes[0].run_name) == (run_id, "mine")
    second = queries.audit(client, "vision", limit=3, before=first.changes[-1].place)
    assert ([change.action for change in second.changes], second.more) == (["set 1", "set 0"], False)


def test_the_audit_is_filtered(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1)
    registry.audit(1, "set name", run_id=run_id)
    registry.audit(2, "alias", subject="net", kind="ArtifactEdited", actor="Ben@ui", value="best")
    registry.audit(3, "stage", subject="classifier", kind="ModelEdited")

    def found(**choice: Any) -> list[str]:
        return [change.action for change in queries.audit(client, "vision", **choice).changes]

    start = moment(START_US)
    assert found() == ["stage", "alias", "set name"]
    assert found(run_ids=[run_id]) == ["set name"]
    assert found(subjects=["net", "classifier"]) == ["stage", "alias"]
    assert found(actor="ben") == ["alias"]
    assert found(kinds=["ModelEdited"]) == ["stage"]
    assert found(since=start + timedelta(minutes=2), until=start + timedelta(minutes=2)) == ["alias"]
    assert queries.audit(client, "vision", subjects=["net"]).changes[0].run_id == ""
    assert [(one.name, one.runs) for one in queries.audit_actors(client, "vision")] == [("Ben@ui", 1), ("ana@host", 2)]


# What may be removed


def live(client: Client, **choice: Any) -> dict[str, int]:
    found = [one for block in queries.named_objects(client, **choice) for one in block]
    assert [one.sha256 for one in found] == sorted(one.sha256 for one in found)
    return {one.sha256: one.size for one in found if one.needed}


def test_objects_that_versions_and_media_name_are_live(client: Client, pen: Pen, registry: Registry) -> None:
    runs = [pen.run(1), pen.run(2), pen.run(3, forked_from=uuid7(2), fork_step=5)]  # type: ignore[arg-type]
    registry.artifact(runs[0], "net", "d0", files=[("a", "aa01", 1), ("b", "bb02", 2)])
    registry.artifact(runs[0], "net", "d1", files=[("a", "aa01", 1), ("c", "cc03", 3)], at=1)
    registry.artifact(runs[0], "far", "d2", files=[("x", "ee05", 9)], ref="s3://b/x")
    for run_id, sha256 in zip(runs, ("dd04", "ff06", "ff07"), strict=True):
        pen.insert(
            "media", project="vision", run_id=run_id, name="m", rank=0, step=1, idx=0, sha256=sha256, size=4, ver=1
        )
    assert live(client) == {"aa01": 1, "bb02": 2, "cc03": 3, "dd04": 4, "ff06": 4, "ff07": 4}
    assert list(live(client, prefix="aa")) == ["aa01"]
    registry.attribute("net", "d0", "deleted", at=5)
    pen.attribute(runs[0], "deleted")
    pen.attribute(runs[1], "deleted")
    assert live(client) == {"aa01": 1, "cc03": 3, "ff06": 4, "ff07": 4}  # A fork still shows what its parent logged.
    assert len(live(client, deleted_before=moment(START_US))) == 6  # Deletions count after the grace time.
    named = {one.sha256: one.kind for block in queries.named_objects(client) for one in block if not one.needed}
    assert named == {"bb02": "artifact", "dd04": "media"}
    assert queries.named_count(client) == 8
    assert queries.named_count(client, project="vision") == 8
    assert queries.named_count(client, project="other") == 0
    assert [queries.named_count(client, run_id=run) for run in runs] == [6, 1, 1]
    pen.attribute(runs[2], "deleted")
    assert live(client) == {"aa01": 1, "cc03": 3}


def removable(client: Client, minute: float) -> list[tuple[str, str]]:
    found = queries.removable_versions(client, moment(int(START_US + minute * MINUTE)))
    return [(one.version, one.reason) for one in found]


def test_versions_are_due_when_they_expire_unless_somebody_named_them(
    client: Client, pen: Pen, registry: Registry
) -> None:
    run_id = pen.run(1)
    for number in range(4):
        registry.artifact(run_id, "net", f"d{number}", at=number, expires=10 + number)
    registry.alias("net", "best", "d1")
    registry.alias("net", "latest", "d0")
    registry.model("register", 8, artifact="net", digest="d2")
    assert removable(client, 9) == []
    assert removable(client, 10) == [("v0", "expired")]
    assert removable(client, 99) == [("v0", "expired"), ("v3", "expired")]
    registry.model("delete", 9, artifact="net", digest="d2")
    assert removable(client, 99) == [("v0", "expired"), ("v2", "expired"), ("v3", "expired")]
    registry.attribute("net", "d0", "deleted", at=12)
    assert removable(client, 99) == [("v2", "expired"), ("v3", "expired")]


@pytest.mark.parametrize(("goal", "gone"), [("minimize", ["v0", "v3"]), ("maximize", ["v1", "v4"])])
def test_versions_that_are_not_among_the_best_are_due(
    client: Client, pen: Pen, registry: Registry, goal: str, gone: list[str]
) -> None:
    run_id = pen.run(1)
    for number, score in enumerate([0.9, 0.1, float("nan"), 0.8, 0.2, float("nan")]):
        registry.artifact(run_id, "net", f"d{number}", at=number, score=score, keep_best=2, keep_goal=goal)
    assert removable(client, 99) == [(one, "not among the best") for one in gone]
    registry.alias("net", "kept", "d0")
    registry.alias("net", "kept too", "d1")
    assert removable(client, 99) == [(gone[1], "not among the best")]


def test_how_many_are_kept_is_what_the_newest_version_says(client: Client, pen: Pen, registry: Registry) -> None:
    run_id = pen.run(1)
    for number in range(4):  # the newest is kept for being that
        registry.artifact(run_id, "net", f"d{number}", at=number, score=number, keep_best=1)
    assert [one for one, _ in removable(client, 99)] == ["v1", "v2"]
    registry.artifact(run_id, "net", "d9", at=9)
    assert removable(client, 99) == []


# Environments


def test_the_environments_of_two_runs_stand_side_by_side(client: Client, pen: Pen, registry: Registry) -> None:
    runs = [pen.run(1, params={"lr": 0.1}), pen.run(2, params={"lr": 0.2}), pen.run(3)]
    for place, run_id in enumerate(runs[:2]):
        pen.insert(
            "writers",
            project="vision",
            run_id=run_id,
            writer=1,
            attempt=0,
            rank=0,
            started_us=START_US,
            command=["python", "a b.py"],
            python="3.11",
            git={"commit": "abc"},
            packages={"torch": f"2.{place}", "numpy": "2.0"} | ({"extra": "1"} if place else {}),
            job={"slurm_job_id": str(place)},
            determinism={"seed": "1"},
            sources={"mine": "/home/me/mine"},
            container={},
            ver=1,
        )
        registry.dataset(run_id, "images", f"ds{place}")
    pen.attribute(runs[1], "determinism:seed", "2", at_us=START_US + 1)
    pen.attribute(runs[1], "determinism:early", "x", at_us=START_US - 1)
    found = queries.environments(client, "vision", runs)
    assert set(found) == set(runs[:2])
    facts = queries.side_by_side(found[runs[0]], found[runs[1]])
    differing = [(fact.section, fact.name, fact.left, fact.right) for fact in facts if not fact.same]
    assert differing == [
        ("packages", "extra", None, "1"),
        ("packages", "torch", "2.0", "2.1"),
        ("determinism", "seed", "1", "2"),
        ("job", "slurm_job_id", "0", "1"),
        ("data", "images (training)", "ds0", "ds1"),
        ("params", "lr", "0.1", "0.2"),
    ]
    assert ("command", "command", "python 'a b.py'") in [(fact.section, fact.name, fact.left) for fact in facts]
