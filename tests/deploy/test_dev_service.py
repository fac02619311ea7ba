"""One service's life: each kind must keep its promises, so most tests here run over all three."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from runstream_deploy.dev import ClickHouseService, KafkaService, MinioService, Service
from runstream_deploy.dev.errors import DevError, NotRunning, ServiceFailed
from runstream_deploy.dev.ports import free_ports
from runstream_deploy.dev.probes import clickhouse_http
from runstream_deploy.dev.processes import Process
from services.kafka import messages, produce
from services.tiers import own

KINDS = {"kafka": KafkaService, "clickhouse": ClickHouseService, "s3": MinioService}
EACH = [pytest.param(name, marks=[getattr(pytest.mark, name), pytest.mark.real]) for name in KINDS]


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service of the kind that the test is parametrised with, shared by this module's tests."""
    name = request.param
    with own(request, name, KINDS[name]) as service:
        yield service


@pytest.fixture
def service(started: Service) -> Service:
    """The same, running again whatever the last test did to it."""
    started.reload()
    if started.is_paused:
        started.resume()
    started.start()
    return started


each = pytest.mark.parametrize("started", EACH, indirect=True)


def write(service: Service) -> None:
    """Store one thing by the service's own protocol."""
    if isinstance(service, KafkaService):
        produce(service.bootstrap, "kept", b"value")
    elif isinstance(service, ClickHouseService):
        ask(service, "CREATE TABLE default.kept (x Int32) ENGINE = MergeTree ORDER BY x")
        ask(service, "INSERT INTO default.kept VALUES (7)")
    elif isinstance(service, MinioService):
        service.create_bucket("kept")


def read(service: Service) -> object:
    """What `write` stored."""
    if isinstance(service, KafkaService):
        return messages(service.bootstrap, "kept")
    if isinstance(service, ClickHouseService):
        return ask(service, "SELECT x FROM default.kept")
    assert isinstance(service, MinioService)
    client = Minio(f"127.0.0.1:{service.ports[0]}", "runstream", service.secret, secure=False)
    return [bucket.name for bucket in client.list_buckets()]


STORED = {"kafka": [b"value"], "clickhouse": "7", "minio": ["kept"]}


def ask(service: ClickHouseService, query: str) -> str:
    return clickhouse_http(service.ports[0], "runstream", service.secret, query)


@each
def test_what_was_written_survives_a_kill_and_a_restart(service: Service) -> None:
    write(service)
    url = service.url
    service.kill()
    assert not service.alive
    service.restart()
    assert read(service) == STORED[service.kind]
    assert service.url == url


@each
def test_a_paused_service_exists_but_is_not_healthy_until_it_is_resumed(service: Service) -> None:
    service.pause()
    assert service.alive
    assert service.state()["status"] == "paused"
    service.resume()
    service.await_healthy()
    assert service.state()["status"] == "healthy"


@each
def test_another_process_takes_a_running_service_over_and_stops_it(service: Service) -> None:
    other = type(service)(service.directory)
    assert other.healthy()
    assert other.url == service.url
    other.stop()
    assert not service.alive
    assert other.state()["status"] == "stopped"


@each
def test_a_paused_service_can_be_stopped(service: Service) -> None:
    service.pause()
    service.stop()
    assert not service.alive


@each
def test_the_state_file_with_the_password_is_private(service: Service) -> None:
    assert stat.S_IMODE((service.directory / "service.json").stat().st_mode) == 0o600


@each
def test_the_log_is_kept_and_all_ports_are_on_loopback_only(service: Service) -> None:
    assert service.logs.exists()
    assert listening_addresses(service.ports) <= {"127.0.0.1", "::1"}


def listening_addresses(ports: list[int]) -> set[str]:
    """The local addresses of listeners on `ports`, from /proc/net/tcp and tcp6."""
    found = set()
    for table, size in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in ports:
                words = bytes.fromhex(address)
                raw = b"".join(words[at : at + 4][::-1] for at in range(0, size, 4))
                text = socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, raw)
                found.add(text.removeprefix("::ffff:"))
    return found


@pytest.mark.s3
@pytest.mark.real
def test_a_port_taken_between_choice_and_start_is_replaced(private_minio: MinioService, tmp_path: Path) -> None:
    lost = list(private_minio.ports)
    choices = iter([lost])

    def choose(count: int) -> list[int]:
        return next(choices, None) or free_ports(count)

    other = MinioService(tmp_path, tethered=True, choose_ports=choose)
    other.start()
    try:
        assert set(other.ports).isdisjoint(lost)
        assert other.healthy()
        assert private_minio.healthy()
    finally:
        other.kill()


@pytest.mark.s3
@pytest.mark.real
def test_a_restart_keeps_its_ports_and_says_who_is_in_the_way(private_minio: MinioService) -> None:
    private_minio.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", private_minio.ports[0]))
        squatter.listen()
        with pytest.raises(ServiceFailed, match="another program now listens"):
            private_minio.restart()
    private_minio.restart()
    assert private_minio.healthy()


@pytest.mark.s3
@pytest.mark.real
def test_a_pid_that_now_belongs_to_another_process_is_not_touched(private_minio: MinioService) -> None:
    process = private_minio.process
    assert process is not None
    private_minio.process = Process(pid=process.pid, started=process.started + 1)
    assert not private_minio.alive
    with pytest.raises(NotRunning, match="dev up"):
        private_minio.kill()
    assert process.alive
    private_minio.process = process


def test_a_damaged_state_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text("{")
    with pytest.raises(DevError, match=r"service\.json cannot be read .* Remove"):
        KafkaService(tmp_path)


def test_what_does_not_run_cannot_be_paused(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=r"kafka does not run in .* `runstream dev up"):
        KafkaService(tmp_path).pause()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[ClickHouseService]:
    """A ClickHouse to ask as each of its users."""
    with own(request, "clickhouse", ClickHouseService) as service:
        yield service


def as_reader(server: ClickHouseService, query: str) -> str:
    return clickhouse_http(server.ports[0], "reader", server.secret, query)


@pytest.mark.clickhouse
@pytest.mark.real
def test_the_reader_reads(server: ClickHouseService) -> None:
    assert as_reader(server, "SELECT count() > 0 FROM system.tables") == "1"


@pytest.mark.parametrize(
    "query",
    [
        "CREATE DATABASE mine",
        "SET max_execution_time = 3600",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'x Int32')",
        "SELECT * FROM file('/etc/passwd', LineAsString)",
        "SYSTEM STOP LISTEN HTTP",
    ],
)
@pytest.mark.clickhouse
@pytest.mark.real
def test_the_reader_may_not_write_or_leave_the_database_or_its_limits(server: ClickHouseService, query: str) -> None:
    with pytest.raises(ValueError, match="ClickHouse answered"):
        as_reader(server, query)


@pytest.mark.clickhouse
@pytest.mark.real
def test_the_server_s_own_user_without_a_password_sees_no_data(server: ClickHouseService) -> None:
    ask(server, "CREATE TABLE IF NOT EXISTS default.secret (x Int32) ENGINE = MergeTree ORDER BY x")
    with pytest.raises(ValueError, match="Not enough privileges"):
        clickhouse_http(server.ports[0], "default", "", "SELECT * FROM default.secret")


@pytest.mark.clickhouse
@pytest.mark.real
def test_a_wrong_password_is_refused(server: ClickHouseService) -> None:
    with pytest.raises(ValueError, match="403"):
        clickhouse_http(server.ports[0], "runstream", "wrong", "SELECT 1")
    assert server.healthy()
