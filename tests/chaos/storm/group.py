"""The consumer group and its topics, as an operator sees and moves them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

TIMEOUT_S = 5.0


class Group:
    """Each call may raise KafkaException while the broker is away."""

    def __init__(self, bootstrap: str, name: str, topics: Iterable[str]) -> None:
        self.name = name
        self.topics = tuple(topics)
        self._options: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "log_level": 1,
            "socket.timeout.ms": 5000,
        }

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """(topic, partition) to the offset behind its last message; a topic that does not exist is left out."""
        with closing(Consumer({**self._options, "group.id": "looks", "enable.auto.commit": False})) as consumer:
            found = {}
            for topic in topics:
                metadata = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
                for partition in metadata.partitions if metadata.error is None else ():
                    place = TopicPartition(topic, partition)
                    found[topic, partition] = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1]
            return found

    def committed(self) -> dict[tuple[str, int], int]:
        """(topic, partition) to the committed offset, 0 for none."""
        options = {**self._options, "group.id": self.name, "enable.auto.commit": False}
        with closing(Consumer(options)) as consumer:
            places = [TopicPartition(*place) for place in self.ends(self.topics)]
            found = consumer.committed(places, timeout=TIMEOUT_S)
            return {(place.topic, place.partition): max(0, place.offset) for place in found}

    def has_intents(self) -> bool:
        """Whether a batch was announced and not finished. Moving the offsets wipes its intent out."""
        asked = [ConsumerGroupTopicPartitions(self.name)]
        admin = AdminClient(self._options)  # kept by a name: its futures never end once it is collected
        found = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[self.name].result()
        return any(_has_metadata(place) for place in found.topic_partitions)

    def lag(self) -> int:
        """Messages that are not committed as durable."""
        ends, committed = self.ends(self.topics), self.committed()
        return sum(end - committed.get(place, 0) for place, end in ends.items())

    def is_empty(self) -> bool:
        """Whether it has no member that could still commit."""
        admin = AdminClient(self._options)
        described = admin.describe_consumer_groups([self.name], request_timeout=TIMEOUT_S)[self.name].result()
        return described.state in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)

    def to_earliest(self, *, forget: bool) -> None:
        """Every offset back to the start: set to 0, or (`forget`) the group deleted with all that it committed."""
        admin = AdminClient(self._options)
        if forget:
            try:
                admin.delete_consumer_groups([self.name], request_timeout=TIMEOUT_S)[self.name].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise
            return
        places = [TopicPartition(topic, partition, 0) for topic, partition in self.ends(self.topics)]
        if not places:
            return  # no topic yet
        wanted = [ConsumerGroupTopicPartitions(self.name, places)]
        moved = admin.alter_consumer_group_offsets(wanted, request_timeout=TIMEOUT_S)[self.name].result()
        for place in moved.topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)


def _has_metadata(place: TopicPartition) -> bool:
    """librdkafka may give metadata with what lies behind it in memory (its issue 4649), which need not be UTF-8."""
    try:
        return bool(place.metadata)
    except UnicodeDecodeError:
        return True
