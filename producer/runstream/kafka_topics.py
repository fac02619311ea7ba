"""The topics of one prefix, made explicitly: what a broker makes on its own has the wrong limits."""

from __future__ import annotations

import logging

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from runstream.kafka_options import KafkaOptions

log = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 8 << 20
_SHARED = {
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    # Run state is derived from the brokers' clock, not from that of a training host.
    "message.timestamp.type": "LogAppendTime",
}
_FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1"}


def control_topic(prefix: str) -> str:
    return f"{prefix}.control"


def metrics_topic(prefix: str) -> str:
    return f"{prefix}.metrics"


def logs_topic(prefix: str) -> str:
    return f"{prefix}.logs"


def source_topics(prefix: str) -> tuple[str, str, str]:
    """All topics that events are sent to: control, metrics, logs."""
    return control_topic(prefix), metrics_topic(prefix), logs_topic(prefix)


def dead_letter_topic(topic: str) -> str:
    return f"{topic}.dlq"


def topics_of(prefix: str, options: KafkaOptions) -> list[NewTopic]:
    """The control topic (the audit trail, kept for ever), the others, and what could not be read of each."""
    kept = {control_topic(prefix): _FOR_EVER}
    wanted = {name: kept.get(of, {}) for of in source_topics(prefix) for name in (of, dead_letter_topic(of))}
    topics = []
    for name, configs in wanted.items():
        topic = NewTopic(name, options.partitions, 1, topic_configs={**_SHARED, **configs})
        # The constructor refuses -1, the brokers' own default, which the protocol has known since Kafka 2.4.
        topic.replication_factor = options.replication
        topics.append(topic)
    return topics


async def create_missing_topics(prefix: str, options: KafkaOptions) -> list[str]:
    """Makes the topics of `prefix` that do not exist, and leaves others as they are; the names of those made.

    Raises KafkaError when the brokers cannot be reached or refuse.
    """
    admin = AIOKafkaAdminClient(**options.client_arguments(), client_id="runstream-topics")
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics_of(prefix, options) if topic.name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(missing, timeout_ms=30_000)
        for name, code, *rest in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name}: {rest[0] if rest else 'refused'}")
        made = [str(topic.name) for topic in missing]
        log.info("topics created: %s (%d partitions each)", ", ".join(made), options.partitions)
        return made
    finally:
        await admin.close()
