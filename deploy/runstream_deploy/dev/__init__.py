"""Real Kafka, ClickHouse and MinIO on loopback, without a container engine, for development and tests."""

from .clickhouse import ClickHouseService
from .errors import DevError
from .kafka import KafkaService
from .minio import MinioService
from .service import Service
from .stack import Stack

__all__ = ["ClickHouseService", "DevError", "KafkaService", "MinioService", "Service", "Stack"]
