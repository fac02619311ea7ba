"""A real Kafka broker (KRaft, one node) from its Maven jars."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from pathlib import Path
from typing import ClassVar

from . import probes
from .errors import ServiceFailed, ToolMissing
from .installs import KAFKA_RUNTIME, install_kafka, missing
from .service import Service

# A killed broker's registration blocks its successor until the session has timed out, hence the short one.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
log.cleaner.dedupe.buffer.size=33554432
"""


class KafkaService(Service):
    """Topics are not created by themselves; messages may be 8 MiB; there is no authentication, on loopback only."""

    kind: ClassVar[str] = "kafka"
    port_count: ClassVar[int] = 2

    @property
    def bootstrap(self) -> str:
        """`host:port`, as clients want it."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def url(self) -> str:
        return self.bootstrap

    def install(self) -> None:
        lacking = missing(KAFKA_RUNTIME)
        if lacking:
            raise ToolMissing(service="Kafka", tools=lacking)
        self._lib = install_kafka(self._report)

    def command(self) -> list[str]:
        data = self.directory / "data"
        properties = self.directory / "server.properties"
        properties.touch(0o600)
        properties.write_text(self.properties())
        java = ["java", "-cp", f"{self._lib}/*", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
        if not (data / "meta.properties").exists():
            self._format([*java, "kafka.tools.StorageTool"], properties)
        return [*java[:1], "-Xms256m", "-Xmx512m", *java[1:], "kafka.Kafka", str(properties)]

    def properties(self) -> str:
        """The broker's configuration for the current ports."""
        port, controller = self.ports[:2]
        return _PROPERTIES.format(port=port, controller=controller, data=self.directory / "data")

    def _format(self, tool: list[str], properties: Path) -> None:
        options = ["format", "--cluster-id", self._cluster_id, "--config", str(properties)]
        with self.logs.open("ab") as log:
            done = subprocess.run([*tool, *options], stdout=log, stderr=log, env=os.environ)
        if done.returncode:
            raise ServiceFailed(
                service=self.name, reason="could not format its data", log=self.logs, tail=self.log_tail()
            )

    @property
    def _cluster_id(self) -> str:
        """16 bytes in URL-safe base64; derived, so that the probe can tell this broker from another one.

        One that begins with '-', as one in 64 does, would be taken for an option: the next digest is used instead.
        """
        digest = hashlib.sha256(self.secret.encode()).digest()
        while (text := base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")).startswith("-"):
            digest = hashlib.sha256(digest).digest()
        return text

    def probe(self) -> None:
        found = probes.kafka_cluster_id(self.ports[0])
        if found != self._cluster_id:
            raise ValueError(f"it is the broker of cluster {found}")
