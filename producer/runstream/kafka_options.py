"""How to reach the brokers, and what topics to make there."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from runstream.errors import SettingsError
from runstream.settings import Settings

PREFIX = "RUNSTREAM_KAFKA_"
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """The `RUNSTREAM_KAFKA_<FIELD>` variables; `bootstrap` is `RUNSTREAM_KAFKA` itself."""

    bootstrap: str
    """`host:port,host:port`."""
    partitions: int = 12
    """Partitions of a topic that does not exist yet; one run stays in one partition."""
    replication: int = -1
    """Copies of a topic that does not exist yet; -1: what the brokers have as default."""
    compression: str = "zstd"
    """zstd, lz4, snappy, gzip or none. aiokafka runs lz4 at a level that takes fifteen times the CPU of its zstd."""
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    user: str = ""
    password: str = ""
    ca_file: str = ""
    """PEM file with the authority that signed the brokers' certificates; empty: those of the system."""

    @classmethod
    def from_settings(cls, settings: Settings) -> KafkaOptions:
        """Raises SettingsError for a missing broker or a value that cannot be used."""
        if not settings.kafka:
            raise SettingsError("RUNSTREAM_KAFKA", settings.kafka, "host:port of a broker, several joined by commas")
        return cls.from_variables(settings.kafka, settings.client_options)

    @classmethod
    def from_variables(cls, bootstrap: str, variables: Mapping[str, str]) -> KafkaOptions:
        """Reads `RUNSTREAM_KAFKA_*`. Raises SettingsError for a value that cannot be used."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            text = variables.get(variable, "").strip()
            if not text or field.name == "bootstrap":
                continue
            if isinstance(field.default, int):
                values[field.name] = _number(variable, text)
            else:
                values[field.name] = text
        options = cls(bootstrap=bootstrap, **values)
        if options.compression not in COMPRESSIONS:
            raise SettingsError(PREFIX + "COMPRESSION", options.compression, "one of " + ", ".join(COMPRESSIONS))
        if options.security_protocol not in PROTOCOLS:
            raise SettingsError(
                PREFIX + "SECURITY_PROTOCOL", options.security_protocol, "one of " + ", ".join(PROTOCOLS)
            )
        if options.partitions < 1:
            raise SettingsError(PREFIX + "PARTITIONS", options.partitions, "1 or more")
        if not all(ADDRESS.fullmatch(address.strip()) for address in bootstrap.split(",")):
            raise SettingsError("RUNSTREAM_KAFKA", bootstrap, "host:port of a broker, several joined by commas")
        options._check_security()
        return options

    def _check_security(self) -> None:
        """Raises SettingsError for what no client could connect with."""
        if self.security_protocol.startswith("SASL"):
            if self.sasl_mechanism not in MECHANISMS:
                raise SettingsError(PREFIX + "SASL_MECHANISM", self.sasl_mechanism, "one of " + ", ".join(MECHANISMS))
            if not self.user:
                raise SettingsError(PREFIX + "USER", "", f"{self.security_protocol} needs a user and a password")
        if self.security_protocol.endswith("SSL"):
            try:
                self._tls()
            except OSError as error:  # also what ssl raises
                reason = error.strerror or str(error)
                raise SettingsError(
                    PREFIX + "CA_FILE", self.ca_file, f"a PEM file of certificates ({reason})"
                ) from None

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file or None)

    def client_arguments(self) -> dict[str, Any]:
        """What every aiokafka client (producer, consumer, admin) needs to connect."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = self._tls()
        if self.security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return arguments

    def __repr__(self) -> str:
        return f"KafkaOptions({self.bootstrap}, {self.security_protocol})"


def _number(variable: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingsError(variable, text, "a whole number") from None
