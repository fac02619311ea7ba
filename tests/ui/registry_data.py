"""Artifacts, models and changes to look at, written straight into ClickHouse as ingest would have."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from runstream.objects import ObjectStore, object_key
from runstream_storage.connection import connect
from ui.project_data import Filled

NIL = "00000000-0000-0000-0000-000000000000"
_US = 1_000_000


class Registry:
    """Adds to the project `filled` of the database at `url`; each call is later than the one before."""

    def __init__(self, url: str, filled: Filled, store: ObjectStore) -> None:
        self.filled = filled
        self._client = connect(url)
        self._store = store
        self._us = time.time_ns() // 1000 - 3600 * _US
        self._seq = 0

    def version(self, name: str, files: Mapping[str, bytes], *, run: str, kind: str = "model", **fields: Any) -> str:
        """A version that `run` made; gives its digest. `fields`: columns of the table, `tags`, `aliases`."""
        kept = []
        for path, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            self._store.put_bytes(object_key(sha256), content)
            kept.append((path, sha256, len(content), fields.pop("mime", ""), ""))
        digest = hashlib.sha256(repr(kept).encode()).hexdigest()
        ver = self._tick()
        tags, aliases = fields.pop("tags", ()), fields.pop("aliases", ())
        row = {"type": kind, "run_id": run, "created_us": self._us, "size": sum(file[2] for file in kept)}
        row |= {"files": kept, "metadata": "{}", "description": "", "ver": ver, "keep": 2**64 - 1 - ver}
        self._insert("artifacts", name=name, digest=digest, **(row | fields))
        self._link(run, name, "out", digest)
        what = {"name": name, "digest": digest, "actor": "ada", "ver": ver, "is_deleted": 0}
        for tag in tags:
            self._insert("artifact_attrs", **what, key=f"tag:{tag}", value="")
        for alias in aliases:
            self._insert("artifact_aliases", **what, alias=alias)
        return digest

    def awaits(self, run: str, name: str, *, lost: str = "") -> None:
        """An artifact that `run` logged and whose files are on their way, or lost."""
        self._tick()
        what = {
            "writer": 1,
            "kind": "ArtifactLogged",
            "type": "model",
            "files": 3,
            "size": 5 << 30,
            "turn": int(bool(lost)),
        }
        state = {"state": "lost" if lost else "pending", "reason": lost}
        self._insert("awaited", run_id=run, name=name, ts_us=self._us, **what, **state)

    def read(self, run: str, name: str, digest: str) -> None:
        self._link(run, name, "in", digest)

    def model(
        self, model: str, action: str, artifact: str = "", digest: str = "", *, actor: str = "ada", **said: str
    ) -> None:
        """`said`: value and note."""
        ver = self._tick()
        said = {"value": "", "note": "", "actor": actor, **said}
        what = {"model": model, "action": action, "artifact": artifact, "digest": digest}
        self._insert("model_events", **what, **said, ts_us=self._us, writer=1, run_id=NIL, ver=ver)
        self.change(actor, "ModelEdited", model, action, said["value"] or said["note"])

    def change(self, actor: str, kind: str, subject: str, action: str, value: str, run: str = NIL) -> None:
        self._seq += 1
        who = {"ts_us": self._us, "writer": 1, "seq": self._seq, "actor": actor, "run_id": run}
        self._insert("audit", **who, kind=kind, subject=subject, action=action, value=value)

    def attribute(self, run: str, key: str, value: str = "true", actor: str = "ada") -> None:
        ver = self._tick()
        self._insert("run_attrs", run_id=run, key=key, value=value, actor=actor, ver=ver, is_deleted=0)
        self.change(actor, "Attributes", "", f"set {key}", value, run)

    def many_artifacts(self, count: int) -> None:
        """`count` artifacts of one version each, by the server."""
        columns = "project, name, digest, type, run_id, created_us, size, files, metadata, description, ver"
        self._client.command(
            f"INSERT INTO artifacts ({columns}) SELECT {{project:String}}, "
            "concat('many-', leftPad(toString(number), 5, '0')), lower(hex(SHA256(toString(number)))), 'model', "
            "{run:UUID}, {now:Int64} - number, number, [], '', '', number + 1 FROM numbers({count:UInt64})",
            parameters={"project": self.filled.project, "run": self.filled.run_ids[0], "now": self._us, "count": count},
        )

    def close(self) -> None:
        self._client.close()

    def _link(self, run: str, name: str, role: str, digest: str) -> None:
        ver = self._tick()
        what = {"run_id": run, "name": name, "role": role, "digest": digest, "version": "latest"}
        self._insert("artifact_links", **what, ts_us=self._us, ver=ver)

    def _tick(self) -> int:
        self._us += _US
        return (self._us - 1_735_689_600_000_000) << 6 | 1

    def _insert(self, table: str, **row: Any) -> None:
        row = {"project": self.filled.project, **row}
        self._client.insert(table, [list(row.values())], column_names=list(row))
