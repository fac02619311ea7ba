"""The agent as a process against a real broker, with everything killed that can be."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from producer.wire import MemoryObjects, Spooled, rows_of, stored, until
from runstream import events
from runstream.agent import Agent
from runstream.agent.lock import holder
from runstream.kafka import KafkaTransport
from runstream.kafka_options import KafkaOptions
from runstream.messages import Message
from runstream.objects import object_key, open_store
from runstream.settings import Settings
from runstream.spool import Position
from runstream.spool_cursor import Cursor

TRAINING = """
import os, signal, runstream
run = runstream.init(project="kill", name="victim")
print(run.id, flush=True)
for step in range(20_000):
    run.log({"loss": step / 10, "acc": 0.5})
os.kill(os.getpid(), signal.SIGKILL)
"""


def environment(data_dir: Path, bootstrap: str, prefix: str) -> dict[str, str]:
    return {
        **os.environ,
        "RUNSTREAM_DIR": str(data_dir),
        "RUNSTREAM_KAFKA": bootstrap,
        "RUNSTREAM_KAFKA_PARTITIONS": "2",
        "RUNSTREAM_TOPIC_PREFIX": prefix,
    }


@contextmanager
def agent_process(data_dir: Path, bootstrap: str, prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(data_dir), "--stay"]
    with (data_dir / "agent.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment(data_dir, bootstrap, prefix), stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop_agent(data_dir: Path) -> None:
    if pid := holder(data_dir / "agent.lock"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def await_true(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, "did not happen"
        time.sleep(0.05)


def arrived(bootstrap: str, prefix: str) -> tuple[list[int], list[tuple[str, dict[str, Any]]]]:
    """Sequences of the rows and the control events, in their order; of those that came twice the first."""
    rows = rows_of([value for _, value in asyncio.run(stored(bootstrap, f"{prefix}.metrics"))])
    control = [events.decode(value) for _, value in asyncio.run(stored(bootstrap, f"{prefix}.control"))]
    return list(dict.fromkeys(row[0] for row in rows)), control


@pytest.mark.kafka
def test_a_training_process_killed_right_after_log_loses_nothing(kafka: Any, topic_prefix: str, tmp_path: Path) -> None:
    env = environment(tmp_path, kafka.bootstrap, topic_prefix)
    done = subprocess.run([sys.executable, "-c", TRAINING], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run_id = done.stdout.strip()
    try:
        await_true(lambda: not list((tmp_path / "spool").glob("*/*/*.seg")), 60)
    finally:
        stop_agent(tmp_path)
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == list(range(20_000))
    assert [kind for kind, _ in control if kind not in ("Heartbeat", "Params")] == ["RunStarted", "RunFinished"]
    _, ended = control[-1]
    assert (ended["state"], ended["run_id"], ended["metric_seq"]) == ("killed", run_id, 20_000)


@pytest.mark.kafka
def test_an_agent_killed_on_the_way_sends_the_rest_when_it_is_back(
    kafka: Any, topic_prefix: str, tmp_path: Path
) -> None:
    spool = Spooled(tmp_path)
    steps = itertools.count()

    def log_more() -> None:
        for step in itertools.islice(steps, 50_000):
            spool.log(step, a=1.0, b=2.0, c=3.0, d=4.0, e=5.0)

    def place() -> Position:
        return Cursor.load(spool.directory).position

    for _ in range(3):
        log_more()
        with agent_process(tmp_path, kafka.bootstrap, topic_prefix):
            before = place()
            await_true(lambda before=before: place() != before)
    log_more()
    spool.finish()
    with agent_process(tmp_path, kafka.bootstrap, topic_prefix):
        await_true(lambda: not spool.directory.exists())
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == list(range(200_000))
    assert {event["state"] for kind, event in control if kind == "RunFinished"} == {"finished"}


@pytest.mark.kafka
@pytest.mark.real
def test_a_broker_that_goes_and_comes_costs_nothing_but_time(private_kafka: Any, tmp_path: Path) -> None:
    bootstrap, prefix = private_kafka.bootstrap, "outage"
    private_kafka.kill()
    spool = Spooled(tmp_path)
    steps = iter(range(1_000_000))

    def train(rows: int) -> None:
        for _ in range(rows):
            spool.log(next(steps), loss=1.0, acc=0.5)

    def acknowledged() -> int:
        return Cursor.load(spool.directory).position.row_seq

    with agent_process(tmp_path, bootstrap, prefix):
        train(1000)
        time.sleep(1)
        assert acknowledged() == 0
        private_kafka.start()
        await_true(lambda: acknowledged() == 1000)
        private_kafka.pause()
        train(10_000)
        time.sleep(1)
        private_kafka.resume()
        await_true(lambda: acknowledged() == 11_000)
        train(5_000)
        private_kafka.kill()
        train(50_000)
        spool.finish()
        time.sleep(1)
        assert spool.directory.exists()
        private_kafka.start()
        await_true(lambda: not spool.directory.exists())
    seqs, control = arrived(bootstrap, prefix)
    assert seqs == list(range(66_000))
    assert [kind for kind, _ in control if kind != "Heartbeat"] == ["RunStarted", "RunFinished"]


@pytest.mark.kafka
def test_sigterm_delivers_what_was_read_and_leaves_with_zero(kafka: Any, topic_prefix: str, tmp_path: Path) -> None:
    spool = Spooled(tmp_path)
    with agent_process(tmp_path, kafka.bootstrap, topic_prefix) as process:
        for step in range(1000):
            spool.log(step, loss=1.0)
        await_true(lambda: Cursor.load(spool.directory).position.row_seq == 1000)
        process.terminate()
        assert process.wait(30) == 0
    assert holder(tmp_path / "agent.lock") is None
    seqs, _ = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == list(range(1000))
    spool.writer.abandon()


def test_without_a_broker_the_agent_says_what_to_set(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "RUNSTREAM_KAFKA" in done.stderr


ARTIFACT = """
import runstream, sys
with runstream.init(project="art") as run:
    run.log({"loss": 0.5})
    run.log_artifact(sys.argv[1], name="net", type="model", aliases=["best"])
"""


@pytest.mark.kafka
@pytest.mark.s3
def test_an_artifact_is_in_the_object_store_when_its_event_arrives(
    kafka: Any, topic_prefix: str, bucket: str, tmp_path: Path
) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(os.urandom(6 << 20))
    env = {**environment(tmp_path / "data", kafka.bootstrap, topic_prefix), "RUNSTREAM_S3": bucket}
    command = [sys.executable, "-c", ARTIFACT, str(model)]
    try:
        subprocess.run(command, env=env, check=True, capture_output=True)
        await_true(lambda: not list((tmp_path / "data" / "spool").glob("*/*/*.seg")))
    finally:
        stop_agent(tmp_path / "data")
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == [0]
    (logged,) = [event for kind, event in control if kind == "ArtifactLogged"]
    (file,) = logged["files"]
    with open_store(bucket).open(object_key(file["sha256"])) as stream:
        assert stream.read() == model.read_bytes()
    assert [event["state"] for kind, event in control if kind == "RunFinished"] == ["finished"]


THREAD = """
import threading, runstream
with runstream.init(project="thread") as run:
    assert [thread.name for thread in threading.enumerate()][1:2] == ["runstream-agent"]
    for step in range(1000):
        run.log({"loss": step / 10})
"""


@pytest.mark.kafka
def test_a_thread_can_be_the_agent(kafka: Any, topic_prefix: str, tmp_path: Path) -> None:
    env = {**environment(tmp_path, kafka.bootstrap, topic_prefix), "RUNSTREAM_AGENT": "thread"}
    done = subprocess.run([sys.executable, "-c", THREAD], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert holder(tmp_path / "agent.lock") is None
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == list(range(1000))
    assert control[-1][1]["state"] == "finished"


@pytest.mark.kafka
def test_an_agent_that_is_stopped_for_a_while_keeps_its_place_and_others_away(
    kafka: Any, topic_prefix: str, tmp_path: Path
) -> None:
    spool = Spooled(tmp_path)
    with agent_process(tmp_path, kafka.bootstrap, topic_prefix) as agent:
        for step in range(10_000):
            spool.log(step, loss=1.0)
        await_true(lambda: Cursor.load(spool.directory).position.row_seq > 0)
        agent.send_signal(signal.SIGSTOP)
        for step in range(10_000, 20_000):
            spool.log(step, loss=1.0)
        spool.finish()
        command = [sys.executable, "-m", "runstream.agent", "--dir", str(tmp_path)]
        env = environment(tmp_path, kafka.bootstrap, topic_prefix)
        second = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == 0
        assert f"(pid {agent.pid}) already serves" in second.stderr
        assert spool.directory.exists()
        agent.send_signal(signal.SIGCONT)
        await_true(lambda: not spool.directory.exists())
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert seqs == list(range(20_000))
    assert [event["state"] for kind, event in control if kind == "RunFinished"] == ["finished"]


BOTH = """
import os, signal, sys, runstream
run = runstream.init(project="kill", settings={"agent": "external"})
print(run.id, flush=True)
for step in range(10_000_000):
    run.log({"loss": step / 10})
    if step == 60_000:
        print("far", flush=True)
"""


@pytest.mark.kafka
def test_what_is_left_when_agent_and_training_are_killed_is_sent_with_one_end(
    kafka: Any, topic_prefix: str, tmp_path: Path
) -> None:
    env = environment(tmp_path, kafka.bootstrap, topic_prefix)
    with agent_process(tmp_path, kafka.bootstrap, topic_prefix) as agent:
        training = subprocess.Popen([sys.executable, "-c", BOTH], env=env, stdout=subprocess.PIPE, text=True)
        assert training.stdout is not None
        training.stdout.readline()
        (directory,) = wait_for_spools(tmp_path)
        await_true(lambda: Cursor.load(directory).position.row_seq > 0)
        training.stdout.readline()
        agent.kill()
        training.kill()
        training.communicate()
    for _ in range(2):  # the first one is killed too, once it has said the end
        with agent_process(tmp_path, kafka.bootstrap, topic_prefix):
            await_true(lambda: Cursor.load(directory).ending or not directory.exists())
    with agent_process(tmp_path, kafka.bootstrap, topic_prefix):
        await_true(lambda: not directory.exists())
    seqs, control = arrived(kafka.bootstrap, topic_prefix)
    assert len(seqs) > 60_000
    assert seqs == list(range(len(seqs)))
    ends = [event for kind, event in control if kind == "RunFinished"]
    assert {(end["state"], end["metric_seq"]) for end in ends} == {("killed", len(seqs))}
    assert len({end["time_us"] for end in ends}) == 1, "however often it was sent, it is one end"


def wait_for_spools(data_dir: Path) -> list[Path]:
    found: list[Path] = []

    def there() -> bool:
        found[:] = {path.parent for path in (data_dir / "spool").glob("*/*/*.seg")}
        return bool(found)

    await_true(there)
    return found


@pytest.mark.kafka
async def test_a_spool_is_kept_until_the_ingest_group_has_passed_it(
    kafka: Any, topic_prefix: str, tmp_path: Path
) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    spool, group = Spooled(tmp_path), f"{topic_prefix}-ingest"
    settings = Settings(
        dir=tmp_path,
        kafka=kafka.bootstrap,
        topic_prefix=topic_prefix,
        keep="clickhouse",
        ingest_group=group,
        client_options={"RUNSTREAM_KAFKA_PARTITIONS": "2"},
    )
    for step in range(1000):
        spool.log(step, loss=1.0)
    spool.finish()
    stop = asyncio.Event()
    agent = Agent(tmp_path, KafkaTransport(settings), MemoryObjects(), settings)
    task = asyncio.create_task(agent.run(stop))
    try:
        await until(lambda: Cursor.load(spool.directory).finished, 60)
        sent = Cursor.load(spool.directory).sent
        assert set(sent) == {f"{topic_prefix}.metrics", f"{topic_prefix}.control"}
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        partitions = {topic: TopicPartition(topic, partition) for topic, (partition, _) in sent.items()}
        consumer.assign(list(partitions.values()))
        for topic, (_, offset) in sent.items():
            assert spool.directory.exists()
            await consumer.commit({partitions[topic]: offset + 1})
        await consumer.stop()
        await until(lambda: not spool.directory.exists(), 60)
    finally:
        stop.set()
        await task


@pytest.mark.kafka
async def test_the_end_of_a_partition_is_asked_for_where_an_offset_is_not_known(
    kafka: Any, topic_prefix: str, tmp_path: Path
) -> None:
    from runstream.kafka_offsets import end_of

    settings = Settings(
        dir=tmp_path,
        kafka=kafka.bootstrap,
        topic_prefix=topic_prefix,
        client_options={"RUNSTREAM_KAFKA_PARTITIONS": "1"},
    )
    transport = KafkaTransport(settings)
    await transport.start()
    topic = f"{topic_prefix}.metrics"
    places = [await transport.send(Message(topic, b"k" * 36, b"v")) for _ in range(3)]
    assert [place.offset for place in places if place is not None] == [0, 1, 2]
    assert await end_of(KafkaOptions.from_settings(settings), topic, 0) == 3
    await transport.close()
