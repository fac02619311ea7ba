"""A real MinIO server from its static binary."""

from __future__ import annotations

from typing import ClassVar

from . import probes
from .installs import install_minio
from .service import Service

ACCESS_KEY = "runstream"


class MinioService(Service):
    """One drive, no console page, no update checks."""

    kind: ClassVar[str] = "minio"
    port_count: ClassVar[int] = 2

    @property
    def url(self) -> str:
        """`http://access:secret@host:port`."""
        return f"http://{ACCESS_KEY}:{self.secret}@127.0.0.1:{self.ports[0]}"

    def install(self) -> None:
        self._binary = install_minio(self._report)

    def environment(self) -> dict[str, str]:
        return {
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": self.secret,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }

    def command(self) -> list[str]:
        port, console = self.ports
        listen = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}"]
        return [str(self._binary), "server", str(self.directory / "data"), "--quiet", *listen]

    def probe(self) -> None:
        probes.minio_buckets(self.ports[0], ACCESS_KEY, self.secret)

    def create_bucket(self, name: str) -> None:
        """Create a bucket unless it is there."""
        from minio import Minio

        client = Minio(f"127.0.0.1:{self.ports[0]}", ACCESS_KEY, self.secret, secure=False)
        if not client.bucket_exists(name):
            client.make_bucket(name)
