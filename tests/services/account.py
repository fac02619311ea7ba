"""The plugin that marks tests by what they use, and tells at the end what served them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from .ahead import install_ahead
from .tiers import ACCOUNT, SERVICES, Account, Policy, Tier, docker_answers, leave_out

_MARKS = {
    "kafka": "kafka",
    "topic_prefix": "kafka",
    "private_kafka": "kafka",
    "secured_kafka": "kafka",
    "clickhouse": "clickhouse",
    "database": "clickhouse",
    "private_clickhouse": "clickhouse",
    "secured_clickhouse": "clickhouse",
    "s3": "s3",
    "bucket": "s3",
    "private_minio": "s3",
    "chromium": "browser",
}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ACCOUNT] = Account()
    Policy.from_env(os.environ)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a service's fixture carries its marker, so that `-m` always selects it."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARKS:
                item.add_marker(_MARKS[fixture])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first test, so that it counts for no test's timeout and people see it past pytest's capture."""
    if session.config.option.collectonly or not session.items:
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    install_ahead(session.items, Policy.from_env(os.environ), terminal.write_line if terminal else print)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    policy = Policy.from_env(os.environ)
    if item.get_closest_marker("real"):
        stand_ins = [name for name in SERVICES if item.get_closest_marker(name) and policy.tier(name) is Tier.PYPI]
        if stand_ins:
            leave_out(item, f"needs the real {' and '.join(stand_ins)}")
    if item.get_closest_marker("containers") and not docker_answers():
        leave_out_containers(item, policy)


def leave_out_containers(item: pytest.Item, policy: Policy) -> None:
    """Docker is a bonus: only the policy `containers` insists on it."""
    if policy.name == "containers":
        pytest.fail("no Docker engine answers", pytrace=False)
    item.config.stash[ACCOUNT].left_out[item.nodeid] = "no Docker engine answers"
    pytest.skip("no Docker engine answers")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """After everything else that pytest has to say."""
    yield
    account = config.stash[ACCOUNT]
    if account.served or account.left_out or account.notes:
        tell(terminalreporter, account)


def tell(out: pytest.TerminalReporter, account: Account) -> None:
    """What served, what was noted, what was left out."""
    out.section("what served these tests", sep="=", bold=True)
    for name, what in sorted(account.served.items()):
        out.line(f"{name:<12}{what}", yellow=Tier.PYPI.value in what, green=Tier.PYPI.value not in what)
    for note in account.notes:
        out.line(f"NOTE: {note}", yellow=True, bold=True)
    if not account.left_out:
        out.line("left out: nothing", green=True)
        return
    out.line(f"LEFT OUT: {len(account.left_out)} tests, because this machine lacks what they need", red=True, bold=True)
    grouped = Counter((node.partition("[")[0], reason) for node, reason in account.left_out.items())
    for (node, reason), count in sorted(grouped.items()):
        out.line(f"  {node}{f' (x{count})' if count > 1 else ''}: {reason}", red=True)
