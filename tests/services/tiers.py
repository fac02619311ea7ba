"""Which tier serves what, decided once for the session, and the account of it for the end of the run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import NoReturn

import pytest

from runstream_deploy.dev import installs

from .containers import ImageMissing
from .native import S, temporary

SERVICES = ("kafka", "clickhouse", "s3")
URL_VARIABLES = {name: f"RUNSTREAM_TEST_{name.upper()}" for name in SERVICES}
TOOLS = {"kafka": installs.KAFKA_TOOLS, "clickhouse": installs.CLICKHOUSE_TOOLS, "s3": installs.MINIO_TOOLS}
POLICY_VARIABLE = "RUNSTREAM_TEST_SERVICES"
POLICIES = ("auto", "native", "containers", "pypi")


class Tier(Enum):
    """In the order in which they are tried."""

    GIVEN = "given by URL"
    CONTAINER = "container"
    NATIVE = "native"
    PYPI = "PyPI stand-in"


@dataclass
class Account:
    """What served the tests of this run."""

    served: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


ACCOUNT = pytest.StashKey[Account]()


@dataclass(frozen=True)
class Policy:
    """RUNSTREAM_TEST_SERVICES: `auto` takes the first tier that applies; the others insist on theirs.

    Under `native` and `containers` a missing service fails the tests that need it; nothing is skipped.
    """

    name: str
    environment: Mapping[str, str]

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Policy:
        name = environment.get(POLICY_VARIABLE, "auto") or "auto"
        if name not in POLICIES:
            raise pytest.UsageError(f"{POLICY_VARIABLE}={name!r}; it is one of {', '.join(POLICIES)}.")
        return cls(name, environment)

    @property
    def insists(self) -> bool:
        """Whether what is missing fails the run."""
        return self.name in ("native", "containers")

    def tier(self, service: str) -> Tier:
        """The tier of `service`, judged by what is there; starting it may still fail, and then the test fails."""
        if self.name == "pypi":
            return Tier.PYPI
        if self.environment.get(URL_VARIABLES[service]):
            return Tier.GIVEN
        if self.name == "containers" or (self.name == "auto" and docker_answers()):
            return Tier.CONTAINER
        return self.tier_without_containers(service)

    def tier_without_containers(self, service: str) -> Tier:
        """Native where the installers' tools are found, and always when the policy insists on it."""
        if self.name == "native" or not missing_tools(service):
            return Tier.NATIVE
        return Tier.PYPI


def missing_tools(service: str) -> tuple[str, ...]:
    """The programs that installing `service` needs and PATH lacks."""
    return installs.missing(TOOLS[service])


def require_tools(service: str) -> None:
    """Fail the test when `service` cannot be had natively."""
    lacking = missing_tools(service)
    if lacking:
        pytest.fail(
            f"{service} is missing: {', '.join(lacking)} not on PATH and {URL_VARIABLES[service]} not set "
            f"({POLICY_VARIABLE}=native allows no stand-in).",
            pytrace=False,
        )


@cache
def docker_answers() -> bool:
    """Whether a Docker engine answers a ping."""
    # In a process of its own: the client leaves its socket open when nobody answers, and a warning is an error here.
    ping = "import docker; docker.from_env(timeout=5).ping()"
    return subprocess.run([sys.executable, "-c", ping], capture_output=True).returncode == 0


@contextmanager
def serve(
    request: pytest.FixtureRequest,
    service: str,
    *,
    container: Callable[[], AbstractContextManager[str]],
    native: Callable[[], AbstractContextManager[str]],
    stand_in: Callable[[], AbstractContextManager[str]],
    stand_in_name: str,
) -> Iterator[tuple[str, Tier]]:
    """The address of `service` from the first tier that applies, and that tier; noted in the account."""
    policy = Policy.from_env(os.environ)
    account = request.config.stash[ACCOUNT]
    tier = policy.tier(service)
    if tier is Tier.CONTAINER:
        with ExitStack() as stack:
            try:
                url = stack.enter_context(container())
            except ImageMissing as exc:
                if policy.insists:
                    pytest.fail(str(exc), pytrace=False)
                tier = policy.tier_without_containers(service)
                account.notes.append(f"{exc} {service} is {tier.value} instead.")
            else:
                account.served[service] = tier.value
                yield url, tier
                return
    if tier is Tier.GIVEN:
        account.served[service] = tier.value
        yield os.environ[URL_VARIABLES[service]].rstrip("/"), tier
        return
    if tier is Tier.NATIVE:
        require_tools(service)
    with native() if tier is Tier.NATIVE else stand_in() as url:
        account.served[service] = tier.value if tier is Tier.NATIVE else f"{tier.value}: {stand_in_name}"
        yield url, tier


@contextmanager
def own(request: pytest.FixtureRequest, service: str, kind: type[S]) -> Iterator[S]:
    """A real service for one test, to stop, kill, pause and restart; the test is left out where there is none."""
    policy = Policy.from_env(os.environ)
    if policy.name == "pypi" or missing_tools(service):
        leave_out(request, f"needs a real {service} of its own, to kill")
    with temporary(kind) as running:
        request.config.stash[ACCOUNT].served.setdefault(f"{service} (own)", Tier.NATIVE.value)
        yield running


def leave_out(request: pytest.FixtureRequest | pytest.Item, reason: str) -> NoReturn:
    """Skip this test and say so at the end of the run; under a policy that insists, fail it."""
    config, node = request.config, request if isinstance(request, pytest.Item) else request.node
    if Policy.from_env(os.environ).insists:
        pytest.fail(reason, pytrace=False)
    config.stash[ACCOUNT].left_out[node.nodeid] = reason
    pytest.skip(reason)
