"""Looking at Kafka from outside the consumer group: places, configuration and records, with bounded memory."""

from runstream_deploy.kafka_reading.clients import administering, reading
from runstream_deploy.kafka_reading.places import Place, committed, places, places_at
from runstream_deploy.kafka_reading.spans import Span, Spans, records

__all__ = [
    "Place",
    "Span",
    "Spans",
    "administering",
    "committed",
    "places",
    "places_at",
    "reading",
    "records",
]
