"""The settings of topics and brokers as the brokers know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient


async def topic_settings(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """Name and value of each setting of each topic, the brokers' defaults included."""
    from aiokafka.admin.config_resource import ConfigResourceType

    return await _described(admin, ConfigResourceType.TOPIC, topics)


async def broker_settings(admin: AIOKafkaAdminClient, broker: int) -> dict[str, str]:
    """Name and value of each setting of one broker; secrets are empty."""
    from aiokafka.admin.config_resource import ConfigResourceType

    found = await _described(admin, ConfigResourceType.BROKER, [str(broker)])
    return found.get(str(broker), {})


async def _described(admin: AIOKafkaAdminClient, kind: object, names: Sequence[str]) -> dict[str, dict[str, str]]:
    from aiokafka.admin.config_resource import ConfigResource
    from aiokafka.errors import for_code

    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs([ConfigResource(kind, name) for name in names]):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"settings of {name}: {message or 'refused'}")
            found[str(name)] = {str(entry[0]): str(entry[1] or "") for entry in entries}
    return found
