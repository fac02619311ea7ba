"""Fixtures `secured_kafka` and `secured_clickhouse`: reached over TLS, with a certificate made for this test."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from runstream_deploy.dev import KafkaService

from .clickhouse import ClickHouse
from .tiers import own

USER, PASSWORD = "trainer", "pass word=ü"
ITERATIONS = 4096
# Of a key that is given twice the later one counts.
_SECURED = """\
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURED://127.0.0.1:{secured}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SECURED://127.0.0.1:{secured}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={pem}
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
listener.name.secured.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass(frozen=True)
class Certificate:
    """Of 127.0.0.1, signed by itself. `both`: key and certificate in one PEM file."""

    file: Path
    both: Path


def certificate(directory: Path) -> Certificate:
    key, file, both = (directory / name for name in ("key.pem", "certificate.pem", "both.pem"))
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", key, "-out", file], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + file.read_bytes())
    return Certificate(file, both)


class SecuredKafka(KafkaService):
    """Has a second listener, for TLS and SASL; the first one is for who looks on."""

    port_count: ClassVar[int] = 3

    @property
    def secured(self) -> str:
        """`host:port` for clients with TLS and a password."""
        return f"127.0.0.1:{self.ports[2]}"

    @property
    def certificate(self) -> Path:
        return self.directory / "certificate.pem"

    def properties(self) -> str:
        plain, controller, secured = self.ports
        found = certificate(self.directory)
        words = {"plain": plain, "controller": controller, "secured": secured, "pem": found.both}
        text = _SECURED.format(**words, user=USER, password=PASSWORD)
        return super().properties() + text.encode("ascii", "backslashreplace").decode().replace("\\x", "\\u00")

    def admit(self) -> None:
        """USER may come with SCRAM, too."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one of a user at a time
            made = UserScramCredentialUpsertion(USER, ScramCredentialInfo(kind, ITERATIONS), PASSWORD.encode())
            admin.alter_user_scram_credentials([made])[USER].result(60)


@pytest.fixture
def secured_kafka(request: pytest.FixtureRequest) -> Iterator[SecuredKafka]:
    """A real broker of this test's own that USER may use with PASSWORD."""
    with own(request, "kafka", SecuredKafka) as service:
        service.admit()
        yield service


@dataclass(frozen=True)
class Secured:
    """`url` is `https://user:password@host:port`."""

    url: str
    certificate: Path


@pytest.fixture
def secured_clickhouse(clickhouse: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The session's ClickHouse behind a proxy that ends TLS."""
    parts = urlsplit(clickhouse.url)
    found = certificate(tmp_path_factory.mktemp("certificate"))
    with _unwrapping(found, parts.port or 8123) as port:
        yield Secured(f"https://{parts.username}:{parts.password}@127.0.0.1:{port}", found.file)


@contextmanager
def _unwrapping(found: Certificate, target: int) -> Iterator[int]:
    """A port; what comes there over TLS goes on to `target`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(found.both)
    loop, ports = asyncio.new_event_loop(), [0]
    ready, stop = threading.Event(), asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pass_on(reader, behind[1]), pass_on(behind[0], writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        ports[0] = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
