"""Kafka: whether it answers, and whether its topics keep what they are given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runstream_deploy.examination.broker_rights import release, rights
from runstream_deploy.examination.finding import Finding, judged

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

    from runstream.kafka_options import KafkaOptions
    from runstream.settings import Settings

CLOCKS_APART_S = 2.0
FEWEST_RETENTION_MS = 24 * 3600 * 1000
FEWEST_OFFSETS_MINUTES = 7 * 24 * 60
ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {setting}"


def brokers(settings: Settings) -> Iterator[Finding]:
    if not settings.kafka:
        yield Finding(True, "Kafka", "not configured: embedded, the spools are read by `runstream up`")
        return
    from runstream.kafka_options import KafkaOptions
    from runstream_deploy.errors import KafkaUnreachable

    found: list[Finding] = []
    try:
        asyncio.run(_look(KafkaOptions.from_settings(settings), settings, found))
    except KafkaUnreachable as error:
        remedy = (
            "Start the broker, or correct RUNSTREAM_KAFKA and RUNSTREAM_KAFKA_* (protocol, user, password, authority); "
            "training goes on and spools meanwhile."
        )
        found.append(Finding(False, "Kafka", f"{settings.kafka} does not answer ({error.reason})", remedy))
    yield from found


async def _look(options: KafkaOptions, settings: Settings, found: list[Finding]) -> None:
    from runstream.kafka_topics import control_topic, dead_letter_topic, source_topics
    from runstream_deploy.kafka_reading import administering, reading

    sources = source_topics(settings.topic_prefix)
    async with administering(options) as admin:
        cluster = await admin.describe_cluster()
        members = cluster["brokers"]
        topics = set(await admin.list_topics())
        answers = f"{settings.kafka} answers: {len(members)} brokers, {len(topics)} topics, {await release(admin)}"
        found.append(Finding(True, "Kafka", answers))
        wanted = [*sources, *map(dead_letter_topic, sources)]
        if missing := [topic for topic in wanted if topic not in topics]:
            remedy = (
                "The first agent that starts creates them; where it may not, or may not see them, an administrator can."
            )
            found.append(Finding(False, "topics", f"missing: {', '.join(missing)}", remedy))
        present = [topic for topic in wanted if topic in topics]
        found += await rights(admin, present, settings.ingest_group)
        await _topics(admin, present, control_topic(settings.topic_prefix), len(members), found)
        await _offsets_retention(admin, int(members[0]["node_id"]), found)
    if present:
        async with reading(options, fetch_bytes=1 << 16) as consumer:
            await _clock(consumer, present, found)


async def _topics(
    admin: AIOKafkaAdminClient, topics: list[str], control: str, members: int, found: list[Finding]
) -> None:
    from runstream_deploy.kafka_reading.configuration import topic_settings

    if not topics:
        return
    settings = await topic_settings(admin, topics)
    described = {one["topic"]: one["partitions"] for one in await admin.describe_topics(topics)}
    problems = []
    for topic in topics:
        problems += list(topic_findings(topic, settings[topic], for_ever=topic.removesuffix(".dlq") == control))
        problems += list(partition_findings(topic, described[topic], settings[topic], members))
    found += problems or [Finding(True, "topic settings", f"{len(topics)} topics keep what they are given")]


def topic_findings(topic: str, settings: Mapping[str, str], *, for_ever: bool) -> Iterator[Finding]:
    """What is wrong with the settings of a topic; `for_ever`: it is the log that everything can be rebuilt from."""
    from runstream.kafka_topics import MAX_MESSAGE_BYTES

    subject = f"topic {topic}"

    def alter(setting: str) -> str:
        return "Run " + ALTER.format(topic=topic, setting=setting)

    if settings.get("cleanup.policy") != "delete":
        found = f"cleanup.policy is {settings.get('cleanup.policy')}: compaction removes events of a run"
        yield Finding(False, subject, found, alter("cleanup.policy=delete"))
    size = int(settings.get("max.message.bytes") or 0)
    if size < MAX_MESSAGE_BYTES:
        found = f"max.message.bytes is {size:,}; messages have up to {MAX_MESSAGE_BYTES:,}"
        yield Finding(False, subject, found, alter(f"max.message.bytes={MAX_MESSAGE_BYTES}"))
    if settings.get("message.timestamp.type") != "LogAppendTime":
        found = "times are those of training hosts: lag and run states follow their clocks"
        yield Finding(False, subject, found, alter("message.timestamp.type=LogAppendTime"))
    for name in ("retention.ms", "retention.bytes"):
        kept = int(settings.get(name) or -1)
        if for_ever and kept != -1:
            found = f"{name} is {kept:,}: control events, from which all tables can be rebuilt, are removed"
            yield Finding(False, subject, found, alter(f"{name}=-1"))
        elif name == "retention.ms" and 0 <= kept < FEWEST_RETENTION_MS:
            found = f"retention.ms is {kept:,}: ingest that stands still for {kept / 3.6e6:.1f} h loses points"
            yield Finding(False, subject, found, alter(f"retention.ms={7 * FEWEST_RETENTION_MS}"))


def partition_findings(
    topic: str, partitions: list[dict[str, Any]], settings: Mapping[str, str], members: int
) -> Iterator[Finding]:
    """What is wrong with the copies of a topic in a cluster of `members` brokers."""
    subject = f"topic {topic}"
    headless = [one["partition"] for one in partitions if one["leader"] < 0]
    if headless:
        yield Finding(False, subject, f"no leader for the partitions {headless}", "Start the brokers that hold them.")
    behind = [one["partition"] for one in partitions if len(one["isr"]) < len(one["replicas"])]
    if behind and not headless:
        found = f"copies are behind for the partitions {behind}"
        yield Finding(False, subject, found, "Start the brokers that hold the copies, and wait for them to catch up.")
    copies = min((len(one["replicas"]) for one in partitions), default=0)
    insync = int(settings.get("min.insync.replicas") or 1)
    if members > 1 and copies < 2:
        found = f"one copy on a cluster of {members} brokers: a lost disk loses what was acknowledged"
        yield Finding(False, subject, found, "Raise the replication factor with kafka-reassign-partitions.sh.")
    if copies > 2 and insync < 2:
        found = f"min.insync.replicas is {insync}: a message counts as durable with one copy"
        remedy = "Run " + ALTER.format(topic=topic, setting="min.insync.replicas=2")
        yield Finding(False, subject, found, remedy)


async def _offsets_retention(admin: AIOKafkaAdminClient, broker: int, found: list[Finding]) -> None:
    from runstream_deploy.kafka_reading.configuration import broker_settings

    minutes = int((await broker_settings(admin, broker)).get("offsets.retention.minutes") or 0)
    if minutes:
        remedy = (
            "Set offsets.retention.minutes=10080 on the brokers: a group that is away longer forgets where it was and "
            "reads everything again (which doubles nothing, but takes its time)."
        )
        text = f"{minutes / 1440:.1f} days"
        found.append(judged("offsets retention", text, remedy, ok=minutes >= FEWEST_OFFSETS_MINUTES))


async def _clock(consumer: AIOKafkaConsumer, topics: list[str], found: list[Finding]) -> None:
    """A broker tells its time only in what it wrote, so only a clock that is ahead of ours can be seen."""
    from runstream_deploy.kafka_reading import Span, places, records

    ends = await places(consumer, topics)
    spans = {source: Span(place.end - 1, place.end) for source, place in ends.items() if place.begin < place.end}
    newest = 0
    async for chunk in records(consumer, spans):
        newest = max(newest, *(record.timestamp_ms for record in chunk))
    ahead = newest / 1000 - time.time()
    if newest:
        remedy = "Run NTP on the brokers and here: ages and live states are shown wrongly."
        text = f"Kafka is {ahead:.1f} s ahead of here" if ahead > 0 else "Kafka is not ahead of here"
        found.append(judged("clocks of Kafka", text, remedy, ok=ahead <= CLOCKS_APART_S))
