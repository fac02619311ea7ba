"""What a broker tells of itself and of what this client may do: its release, its ACLs, and what it refuses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from runstream_deploy.examination.finding import Finding

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

SUBJECT = "rights on Kafka"
ALLOW = "kafka-acls.sh --bootstrap-server … --add --allow-principal User:… "
# A broker does not say its release. Requests that it knows, the newest first, and the release that brought them.
_RELEASES = ((90, "4.1"), (80, "3.9"), (75, "3.8"), (74, "3.7"), (65, "3.0"))
_NO_AUTHORIZER, _NOT_ALLOWED = 54, 31
_ANY, _LITERAL = 1, 3


def release_of(requests: Collection[int]) -> str:
    """The release of a broker that knows `requests` (API keys), as far as they tell."""
    return next((f"Kafka {release} or newer" for key, release in _RELEASES if key in requests), "Kafka before 3.0")


async def release(admin: AIOKafkaAdminClient) -> str:
    from aiokafka.protocol.admin import ApiVersionRequest

    answer = (await admin._send_request(ApiVersionRequest())).to_object()  # the public client has no such question
    return release_of({one["api_key"] for one in answer["api_versions"]})


async def rights(admin: AIOKafkaAdminClient, topics: Collection[str], group: str) -> list[Finding]:
    """What the broker says about ACLs, and whether it answers for `group` and `topics`, which exist."""
    from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
    from aiokafka.protocol.admin import DescribeAclsRequest

    from runstream.kafka_offsets import committed_by

    try:
        request = DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)  # None: any
        answer = (await admin._send_request(request)).to_object()
        acls = sum(len(resource["acls"]) for resource in answer["resources"])
        found = list(acl_findings(int(answer["error_code"]), acls))
    except (KafkaError, KeyError, TypeError):
        found = []  # a broker that has no such question
    try:
        await committed_by(admin, group, [(topic, 0) for topic in topics])
    except GroupAuthorizationFailedError:
        remedy = f"Run {ALLOW}--operation Read --group {group}"
        found.append(Finding(False, SUBJECT, f"the consumer group {group} is refused to this client", remedy))
    except TopicAuthorizationFailedError:
        remedy = f"Run {ALLOW}--operation Read --operation Describe --topic …"
        found.append(Finding(False, SUBJECT, "offsets of the topics are refused to this client", remedy))
    return found


def acl_findings(error_code: int, acls: int) -> Iterator[Finding]:
    if error_code == _NO_AUTHORIZER:
        yield Finding(True, SUBJECT, "no authorizer: whoever reaches the brokers may do everything")
    elif error_code == _NOT_ALLOWED:
        yield Finding(True, SUBJECT, "the brokers check ACLs, and do not show them to this client")
    elif not error_code and not acls:
        found = "the brokers check ACLs, and there are none: only super users may do anything"
        remedy = (
            f"Run {ALLOW}for agents: --operation Create --operation Describe --operation Write --topic …; for ingest: "
            "--operation Read --topic … --group …"
        )
        yield Finding(False, SUBJECT, found, remedy)
    elif not error_code:
        yield Finding(True, SUBJECT, f"the brokers check {acls} ACLs")
