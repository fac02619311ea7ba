"""Each service in a container of its own, on a loopback port. Image names come from the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runstream_deploy.dev import probes
from runstream_deploy.dev.ports import free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

DEFAULT_IMAGES = {
    "KAFKA": "apache/kafka:4.1.0",
    "CLICKHOUSE": "clickhouse/clickhouse-server:26.3",
    "MINIO": "minio/minio:RELEASE.2025-09-07T16-13-09Z",
}
USER, SECRET = "runstream", "runstream-test"
CLUSTER_ID = "cnVuc3RyZWFtLXRlc3RzMQ"
_TIMEOUT_S = 120.0


class ImageMissing(Exception):
    """The engine has no such image and cannot pull it."""

    def __init__(self, *, image: str, variable: str, reason: str) -> None:
        super().__init__(f"The image {image} cannot be had ({reason[:200]}); {variable} names another one.")


_MISSING: dict[str, ImageMissing] = {}


def image(service: str, report: Callable[[str], None] = lambda _: None) -> str:
    """The image of `service`, present on the engine; pulled if need be. Raises ImageMissing, which is tried once."""
    if service in _MISSING:
        raise _MISSING[service]
    import docker
    from docker.errors import DockerException, ImageNotFound

    variable = f"RUNSTREAM_TEST_IMAGE_{service}"
    name = os.environ.get(variable) or DEFAULT_IMAGES[service]
    client = docker.from_env(timeout=600)
    try:
        try:
            client.images.get(name)
        except ImageNotFound:
            report(f"pulling {name} …")
            client.images.pull(name)
    except DockerException as exc:
        _MISSING[service] = ImageMissing(image=name, variable=variable, reason=str(exc))
        raise _MISSING[service] from None
    finally:
        client.close()
    return name


@contextmanager
def kafka_container() -> Iterator[str]:
    """The bootstrap address of a broker, which must advertise its port on this host and so is told it beforehand."""
    (port,) = free_ports(1)
    listeners = f"INSIDE://:{port},CONTROLLER://:9093"
    variables = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
        "KAFKA_LISTENERS": listeners,
        "KAFKA_ADVERTISED_LISTENERS": f"INSIDE://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_MESSAGE_MAX_BYTES": "8388608",
        "KAFKA_HEAP_OPTS": "-Xmx512m",
        "CLUSTER_ID": CLUSTER_ID,
    }
    with _running("KAFKA", {port: port}, variables, lambda: probes.kafka_cluster_id(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def clickhouse_container() -> Iterator[str]:
    """The HTTP URL of a server."""
    http, tcp = free_ports(2)
    variables = {
        "CLICKHOUSE_USER": USER,
        "CLICKHOUSE_PASSWORD": SECRET,
        "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT": "1",
    }

    def probe() -> None:
        probes.clickhouse_http(http, USER, SECRET, "SELECT 1")
        probes.clickhouse_tcp(tcp, USER, SECRET)

    with _running("CLICKHOUSE", {8123: http, 9000: tcp}, variables, probe):
        yield f"http://{USER}:{SECRET}@127.0.0.1:{http}"


@contextmanager
def minio_container() -> Iterator[str]:
    """The URL of a server."""
    (port,) = free_ports(1)
    variables = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": SECRET}
    command = "server /data --address :9000"
    with _running("MINIO", {9000: port}, variables, lambda: probes.minio_buckets(port, USER, SECRET), command):
        yield f"http://{USER}:{SECRET}@127.0.0.1:{port}"


@contextmanager
def _running(
    service: str,
    ports: dict[int, int],
    variables: dict[str, str],
    probe: Callable[[], object],
    command: str | None = None,
) -> Iterator[DockerContainer]:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # its helper image is one more that may not be there
    container = DockerContainer(image(service))
    for inside, outside in ports.items():
        container.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)
    for key, value in variables.items():
        container.with_env(key, value)
    if command:
        container.with_command(command)
    with container:
        _wait(service, container, probe)
        yield container


def _wait(service: str, container: DockerContainer, probe: Callable[[], object]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            probe()
        except (OSError, ValueError) as exc:
            if time.monotonic() > deadline:
                output = b"".join(container.get_logs()).decode(errors="replace")[-3000:]
                raise RuntimeError(f"{service} did not become healthy in its container ({exc}):\n{output}") from None
            time.sleep(0.2)
        else:
            return
