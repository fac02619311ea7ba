"""Supervision: what happens when a part of the process ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runstream_deploy.embedded.errors import AlreadyUp, PartEnded
from runstream_deploy.embedded.serving import bind, server
from runstream_deploy.embedded.stack import Stack, owned
from runstream_deploy.embedded.threads import ServerThread


async def fail() -> None:
    raise OSError("no space left on device")


async def end() -> None:
    pass


@pytest.mark.parametrize(("work", "reason"), [(fail, "OSError: no space left"), (end, "it returned")])
async def test_a_part_that_ends_is_named_with_its_reason(tmp_path, work, reason):
    from runstream.settings import Settings

    async with AsyncExitStack() as parts:
        stack = Stack(Settings(dir=tmp_path), tmp_path / "up.log", parts, asyncio.Event())
        stack.supervise("agent", work())
        with pytest.raises(PartEnded, match=reason) as raised:
            await stack.watch()
    assert raised.value.name == "agent"
    assert str(tmp_path / "up.log") in str(raised.value)


async def test_a_stop_that_was_asked_for_is_no_failure(tmp_path):
    from runstream.settings import Settings

    stop = asyncio.Event()
    async with AsyncExitStack() as parts:
        stack = Stack(Settings(dir=tmp_path), tmp_path / "up.log", parts, stop)
        stack.supervise("agent", stop.wait())
        stop.set()
        await stack.watch()


async def test_a_server_that_cannot_start_says_so(tmp_path):
    def broken():
        raise RuntimeError("no pages today")

    with bind(0, "--ui-port") as listener:
        thread = ServerThread("pages", broken, listener)
        with pytest.raises(RuntimeError, match="no pages today"):
            await thread.start()
        await thread.stop()
        assert isinstance(thread.ended.exception(), RuntimeError)


async def test_a_server_thread_ends_when_told(tmp_path):
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with bind(0, "--ui-port") as listener:
        thread = ServerThread("pages", lambda: server(application), listener)
        await thread.start()
        await thread.stop()
    assert thread.ended.done()
    assert thread.ended.exception() is None


def test_a_directory_has_one_owner(tmp_path: Path):
    with owned(tmp_path), pytest.raises(AlreadyUp) as raised, owned(tmp_path):
        pass
    assert raised.value.pid is not None
    with owned(tmp_path):
        pass
