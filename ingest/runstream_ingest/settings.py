"""The settings of the ingest service, read once from the environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runstream.kafka_options import PREFIX, KafkaOptions
from runstream.kafka_topics import source_topics
from runstream_ingest import faults
from runstream_ingest.pipeline import PipelineSettings

LAYERS = ("intents", "tokens", "gate", "marks")


class IngestSettings(BaseSettings):
    """`RUNSTREAM_*` of the environment; each is explained in docs/ingest.md."""

    model_config = SettingsConfigDict(env_prefix="RUNSTREAM_", frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka: Annotated[str, Field(min_length=1)]
    """`host:port,host:port`."""
    clickhouse: Annotated[str, Field(min_length=1, repr=False)]
    """`http(s)://user:password@host:port/database`."""
    topic_prefix: str = "runstream"
    """The topics are `<prefix>.control`, `.metrics` and `.logs`; `.dlq` behind each holds its dead letters."""
    kafka_partitions: Annotated[int, Field(ge=1)] = 12
    """Partitions of a topic that does not exist yet."""
    kafka_replication: int = -1
    """Copies of a topic that does not exist yet; -1: what the brokers have as default."""
    kafka_security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    kafka_sasl_mechanism: str = "PLAIN"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    kafka_user: str = ""
    """User for SASL."""
    kafka_password: SecretStr = SecretStr("")
    """Password for SASL."""
    kafka_ca_file: str = ""
    """PEM file of the authority that signed the brokers' certificates; empty: those of the system."""

    ingest_group: str = "runstream-ingest"
    """Consumer group; all workers of one database share it."""
    ingest_instance: str | None = None
    """Static group membership: a name that this worker keeps over restarts, so that they cause no rebalance."""
    ingest_session_timeout_s: Annotated[float, Field(ge=1, le=300)] = 45.0
    """A worker that died is missed after this time, and others take over its partitions."""
    ingest_host: str = "127.0.0.1"
    ingest_port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """Of /metrics, /healthz and /readyz; 0 takes a free port and logs it."""
    ingest_batch_rows: Annotated[int, Field(ge=1)] = 1_000_000
    """Points in one insert, about."""
    ingest_batch_bytes: Annotated[int, Field(ge=1)] = 64 << 20
    """Bytes of messages in one insert, about."""
    ingest_batch_age_s: Annotated[float, Field(gt=0)] = 0.25
    """The longest a message waits for others."""
    ingest_buffer_bytes: Annotated[int, Field(ge=1)] = 32 << 20
    """Messages read ahead; above it fetching waits and then pauses."""
    ingest_max_message_bytes: Annotated[int, Field(ge=1)] = 8 << 20
    """A larger message is a dead letter."""
    ingest_dead_letter_max_consecutive: Annotated[int, Field(ge=0)] = 1_000
    """So many dead letters in a row of one topic stop consumption."""
    ingest_dead_letter_max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A greater share of the last 10,000 or so messages stops consumption."""
    ingest_insert_timeout_s: Annotated[float, Field(gt=0, le=240)] = 60.0
    """For one answer of ClickHouse; well below Kafka's max.poll.interval of 5 minutes."""
    ingest_gate_writers: Annotated[int, Field(ge=1)] = 50_000
    """Writers whose durable sequence numbers are kept in memory, about 1 KB each; others are read from the database."""
    ingest_stall_s: Annotated[float, Field(gt=0)] = 60.0
    """Without progress for so long while messages wait, all stacks go to the log."""
    ingest_unsafe: str = ""
    """For tests only: layers of delivery to switch off, of `intents,tokens,gate,marks`."""
    ingest_faults: str = ""
    """For tests only: see runstream_ingest.faults."""
    ingest_faults_seed: int = 0
    ingest_drain_s: Annotated[float, Field(gt=0, le=240)] = 20.0
    """For what is in flight when the service stops or partitions move; what is not done then is read again."""

    @field_validator("ingest_unsafe")
    @classmethod
    def _known_layers(cls, text: str) -> str:
        unknown = set(filter(None, map(str.strip, text.split(",")))) - set(LAYERS)
        if unknown:
            raise ValueError(f"{sorted(unknown)} are no layers; they are {', '.join(LAYERS)}")
        return text

    @field_validator("ingest_faults")
    @classmethod
    def _known_faults(cls, text: str) -> str:
        faults.parsed(text)
        return text

    @property
    def unsafe(self) -> frozenset[str]:
        """The layers that are switched off."""
        return frozenset(filter(None, map(str.strip, self.ingest_unsafe.split(","))))

    @property
    def topics(self) -> tuple[str, str, str]:
        return source_topics(self.topic_prefix)

    @property
    def kafka_options(self) -> KafkaOptions:
        """Raises SettingsError for a value that cannot be used."""
        variables = {
            PREFIX + "PARTITIONS": str(self.kafka_partitions),
            PREFIX + "REPLICATION": str(self.kafka_replication),
            PREFIX + "SECURITY_PROTOCOL": self.kafka_security_protocol,
            PREFIX + "SASL_MECHANISM": self.kafka_sasl_mechanism,
            PREFIX + "USER": self.kafka_user,
            PREFIX + "PASSWORD": self.kafka_password.get_secret_value(),
            PREFIX + "CA_FILE": self.kafka_ca_file,
        }
        return KafkaOptions.from_variables(self.kafka, variables)

    @property
    def pipeline(self) -> PipelineSettings:
        return PipelineSettings(
            batch_rows=self.ingest_batch_rows,
            batch_bytes=self.ingest_batch_bytes,
            batch_age_s=self.ingest_batch_age_s,
            max_message_bytes=self.ingest_max_message_bytes,
            dead_letter_max_consecutive=self.ingest_dead_letter_max_consecutive,
            dead_letter_max_ratio=self.ingest_dead_letter_max_ratio,
            gate_writers=self.ingest_gate_writers,
            unsafe=self.unsafe,
        )
