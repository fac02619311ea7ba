from __future__ import annotations

import asyncio
import dataclasses
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from producer.wire import stored
from runstream.errors import MessageRefused, SettingsError
from runstream.kafka import KafkaTransport
from runstream.kafka_options import KafkaOptions
from runstream.kafka_topics import create_missing_topics, topics_of
from runstream.messages import Message
from runstream.settings import Settings

KEY = b"019a0000-0000-7000-8000-000000000001"


def options(kafka: Any) -> KafkaOptions:
    return KafkaOptions(kafka.bootstrap, partitions=2)


@asynccontextmanager
async def transport_to(kafka: Any, prefix: str, directory: Path) -> AsyncIterator[KafkaTransport]:
    variables = {"RUNSTREAM_KAFKA_PARTITIONS": "2"}
    settings = Settings(dir=directory, kafka=kafka.bootstrap, topic_prefix=prefix, client_options=variables)
    transport = KafkaTransport(settings)
    await transport.start()
    try:
        yield transport
    finally:
        await transport.close()


def message(prefix: str, number: int, size: int = 100, key: bytes = KEY) -> Message:
    return Message(f"{prefix}.metrics", key, number.to_bytes(8, "big").ljust(size, b"."))


@pytest.mark.kafka
async def test_messages_arrive_once_and_in_order_of_their_key(kafka: Any, topic_prefix: str, tmp_path: Path) -> None:
    keys = [str(uuid.uuid4()).encode() for _ in range(5)]
    async with transport_to(kafka, topic_prefix, tmp_path) as transport:
        futures = [transport.send(message(topic_prefix, i, 10_000, keys[i % 5])) for i in range(500)]
        await asyncio.wait_for(transport.flush(), 60)
        assert all(future.done() and future.exception() is None for future in futures)
    records = await stored(kafka.bootstrap, f"{topic_prefix}.metrics")
    for start, key in enumerate(keys):
        numbers = [int.from_bytes(value[:8], "big") for other, value in records if other == key]
        assert numbers == list(range(start, 500, 5))


@pytest.mark.kafka
@pytest.mark.real
async def test_missing_topics_are_made_with_room_for_large_messages(kafka: Any, tmp_path: Path) -> None:
    prefix = f"made-{uuid.uuid4().hex[:8]}"
    async with transport_to(kafka, prefix, tmp_path) as transport:
        await asyncio.wait_for(transport.send(message(prefix, 1, 5_000_000)), 60)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        names = {topic.name for topic in topics_of(prefix, options(kafka))}
        assert names <= set(await admin.list_topics())
        described = await admin.describe_topics([f"{prefix}.metrics"])
        assert len(described[0]["partitions"]) == 2
        assert await create_missing_topics(prefix, options(kafka)) == []
        resource = ConfigResource(ConfigResourceType.TOPIC, f"{prefix}.control")
        (response,) = await admin.describe_configs([resource])
        settings = {entry[0]: entry[1] for entry in response.resources[0][4]}
        assert settings["retention.ms"] == "-1"
        assert settings["message.timestamp.type"] == "LogAppendTime"
    finally:
        await admin.close()


@pytest.mark.kafka
@pytest.mark.real
async def test_a_message_that_the_broker_never_takes_is_kept_and_the_rest_goes_on(kafka: Any, tmp_path: Path) -> None:
    prefix = f"small-{uuid.uuid4().hex[:8]}"
    topics = topics_of(prefix, options(kafka))
    for topic in topics:
        topic.topic_configs["max.message.bytes"] = "20000"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics(topics)
    await admin.close()
    async with transport_to(kafka, prefix, tmp_path) as transport:
        noise = bytes(range(256)) * 1000
        large = Message(f"{prefix}.metrics", KEY, uuid.uuid4().bytes * 4 + noise)
        incompressible = Message(f"{prefix}.metrics", KEY, b"".join(uuid.uuid4().bytes for _ in range(4000)))
        futures = [transport.send(message(prefix, i)) for i in range(3)]
        refused = transport.send(incompressible)
        compressible = transport.send(large)
        futures += [transport.send(message(prefix, i)) for i in range(3, 6)]
        await asyncio.wait_for(transport.flush(), 60)
        assert transport.refused_messages == 1
        error = refused.exception()
        assert isinstance(error, MessageRefused)
        assert error.kept_at.read_bytes() == incompressible.value
        assert compressible.exception() is None
        assert all(future.exception() is None for future in futures)
    values = [value for _, value in await stored(kafka.bootstrap, f"{prefix}.metrics")]
    numbers = [int.from_bytes(value[:8], "big") for value in values if len(value) == 100]
    assert [number for place, number in enumerate(numbers) if number not in numbers[:place]] == list(range(6))


@pytest.mark.kafka
@pytest.mark.real
async def test_a_topic_with_the_default_limit_takes_all_in_smaller_batches(kafka: Any, tmp_path: Path) -> None:
    prefix = f"default-{uuid.uuid4().hex[:8]}"
    topics = topics_of(prefix, KafkaOptions(kafka.bootstrap, partitions=1))
    for topic in topics:
        topic.topic_configs["max.message.bytes"] = "1048588"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics(topics)
    await admin.close()
    noise = [number.to_bytes(8, "big") + os.urandom(700_000) for number in range(20)]
    async with transport_to(kafka, prefix, tmp_path) as transport:
        for value in noise:
            transport.send(Message(f"{prefix}.metrics", KEY, value))
        await asyncio.wait_for(transport.flush(), 90)
        assert transport.refused_messages == 0
    values = [value for _, value in await stored(kafka.bootstrap, f"{prefix}.metrics")]
    assert list(dict.fromkeys(values)) == noise


async def test_closing_does_not_wait_for_a_broker_that_is_not_there(tmp_path: Path, unused_tcp_port: int) -> None:
    transport = KafkaTransport(Settings(dir=tmp_path, kafka=f"127.0.0.1:{unused_tcp_port}"))
    await transport.start()
    future = transport.send(message("x", 1))
    await asyncio.sleep(0.3)
    await asyncio.wait_for(transport.close(), 5)
    assert not future.done()


async def test_closing_does_not_wait_for_a_broker_that_never_answers(tmp_path: Path) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = KafkaTransport(Settings(dir=tmp_path, kafka=f"127.0.0.1:{port}"))
        await transport.start()
        future = transport.send(message("x", 1))
        await asyncio.sleep(0.3)
        await asyncio.wait_for(transport.close(), 10)
        assert not future.done()


def test_options_come_from_the_environment() -> None:
    found = KafkaOptions.from_variables(
        "a:1",
        {
            "RUNSTREAM_KAFKA_PARTITIONS": "3",
            "RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "RUNSTREAM_KAFKA_USER": "u",
            "RUNSTREAM_KAFKA_PASSWORD": "secret",
        },
    )
    arguments = found.client_arguments()
    assert (found.partitions, arguments["sasl_plain_username"]) == (3, "u")
    assert arguments["ssl_context"] is not None
    assert "secret" not in repr(found)


def test_every_option_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    for field in dataclasses.fields(KafkaOptions):
        if field.name != "bootstrap":
            assert f"RUNSTREAM_KAFKA_{field.name.upper()}" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITIONS", "many"),
        ("COMPRESSION", "rar"),
        ("SECURITY_PROTOCOL", "x"),
        ("SASL_MECHANISM", "GSSAPI"),
        ("USER", " "),
        ("CA_FILE", "/nowhere/ca.pem"),
        ("CA_FILE", __file__),
    ],
)
def test_an_option_that_cannot_be_used_names_its_variable(name: str, value: str) -> None:
    secured = {"SECURITY_PROTOCOL": "SASL_SSL", "USER": "u", "PASSWORD": "secret"}
    given = {f"RUNSTREAM_KAFKA_{key}": text for key, text in (secured | {name: value}).items()}
    with pytest.raises(SettingsError, match=f"RUNSTREAM_KAFKA_{name}") as caught:
        KafkaOptions.from_variables("a:1", given)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bootstrap", ["a:b", "a:1,", "a b", "http://a:1", "a:123456"])
def test_an_address_that_is_none_is_refused(bootstrap: str) -> None:
    with pytest.raises(SettingsError, match="host:port"):
        KafkaOptions.from_variables(bootstrap, {})


def test_addresses_of_every_kind_are_taken() -> None:
    for bootstrap in ("a", "a:1, b.c-d_e:65535", "10.0.0.1:9092", "[::1]:9092"):
        assert KafkaOptions.from_variables(bootstrap, {}).bootstrap == bootstrap
