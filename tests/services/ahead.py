"""Install what the selected tests will start. A failure is left to the test that needs the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pytest

from runstream_deploy.dev import DevError
from runstream_deploy.dev.installs import Report, install_clickhouse, install_kafka, install_minio

from .containers import ImageMissing, image
from .tiers import SERVICES, Policy, Tier, missing_tools

INSTALLS: Mapping[str, Callable[[Report], object]] = {
    "kafka": install_kafka,
    "clickhouse": install_clickhouse,
    "s3": install_minio,
}
IMAGES = {"kafka": "KAFKA", "clickhouse": "CLICKHOUSE", "s3": "MINIO"}
OWN = {
    "kafka": {"private_kafka", "secured_kafka"},
    "clickhouse": {"private_clickhouse"},
    "s3": {"private_minio"},
}


def install_ahead(items: Sequence[pytest.Item], policy: Policy, report: Report) -> None:
    """Native services and container images, as the policy will choose them."""
    for service in SERVICES:
        using = [item for item in items if item.get_closest_marker(service)]
        if not using:
            continue
        tier = policy.tier(service)
        if tier is Tier.CONTAINER and not pull(service, report):
            tier = policy.tier_without_containers(service)
        wants_own = any(OWN[service].intersection(getattr(item, "fixturenames", ())) for item in using)
        if (tier is Tier.NATIVE or wants_own) and policy.name != "pypi" and not missing_tools(service):
            with suppress(DevError):
                INSTALLS[service](report)


def pull(service: str, report: Report) -> bool:
    """Whether the engine has the image now."""
    try:
        image(IMAGES[service], report)
    except ImageMissing:
        return False
    return True
