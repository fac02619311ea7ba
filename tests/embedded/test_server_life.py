"""One owner, many clients, sudden deaths."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from runstream_deploy.embedded.engine import Engine
from runstream_deploy.embedded.errors import DirectoryUnusable, EngineBusy, PortTaken
from runstream_deploy.embedded.serving import bind

TABLE = "CREATE TABLE default.kept (n UInt64, v Float64) ENGINE = MergeTree ORDER BY n"


def test_a_second_owner_is_refused_with_the_pid_of_the_first(server):
    with pytest.raises(EngineBusy) as raised:
        Engine(server.directory)
    assert raised.value.pid == server.process.pid
    assert str(server.process.pid) in str(raised.value)


def test_a_second_process_ends_with_a_message_and_exit_code_1(server):
    command = [sys.executable, "-m", "runstream_deploy.embedded.sqlserver", "--dir", str(server.directory)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"owned by process {server.process.pid}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told_with_the_option_that_mends_it(server):
    with pytest.raises(PortTaken) as raised:
        bind(server.port, "--sql-port")
    assert "--sql-port 0" in str(raised.value)


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnusable):
        Engine(tmp_path / "file" / "data")
    with pytest.raises(DirectoryUnusable):
        Engine(tmp_path / "what?")


def test_readers_do_not_hold_up_inserts(server, database_name):
    server.post(f"CREATE TABLE {database_name}.busy (n UInt64) ENGINE = MergeTree ORDER BY n").raise_for_status()
    stop = threading.Event()

    def read() -> int:
        answers = 0
        while not stop.is_set():
            sql = f"SELECT sum(sipHash64(number)) + (SELECT max(n) FROM {database_name}.busy) FROM numbers(2000000)"
            answer = server.post(sql, reader=True, max_threads="1")
            assert answer.status_code == 200, answer.text
            answers += 1
        return answers

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(6)]
        rows = np.arange(10_000, dtype="<u8").tobytes()
        for _ in range(20):
            server.post(rows, query=f"INSERT INTO {database_name}.busy FORMAT RowBinary").raise_for_status()
        stop.set()
        assert all(reader.result() > 0 for reader in readers)
    assert server.post(f"SELECT count() FROM {database_name}.busy").text == "200000\n"


def test_a_statement_ends_when_its_client_leaves(server):
    running = (
        "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.01)%' AND query NOT LIKE '%processes%'"
    )
    sql = "SELECT sum(sleepEachRow(0.01)) FROM numbers(100000) SETTINGS max_block_size = 10"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(server.base, content=sql, timeout=0.5)
    while server.post(running).text != "0\n":
        time.sleep(0.05)


def test_an_insert_whose_client_leaves_in_the_middle_writes_nothing(server, database_name):
    table = f"{database_name}.half"
    server.post(f"CREATE TABLE {table} (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()

    def body():
        yield b"1\n" * 1000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        httpx.post(
            server.base,
            content=body(),
            params={"query": f"INSERT INTO {table} FORMAT TSV"},
            auth=("runstream", "o-w:n/e r"),
        )
    assert server.post(f"SELECT count() FROM {table}").text == "0\n"


def test_sigterm_ends_running_statements_and_exits_with_0(own_server):
    answers: list[httpx.Response | Exception] = []

    def ask() -> None:
        try:
            answers.append(
                own_server.post("SELECT sum(sleepEachRow(0.1)) FROM numbers(1000) SETTINGS max_block_size = 1")
            )
        except httpx.HTTPError as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while own_server.post("SELECT count() > 1 FROM system.processes").text != "1\n":
        time.sleep(0.05)
    assert own_server.stop() == 0
    asking.join(30)
    assert len(answers) == 1


def test_what_was_acknowledged_survives_sigkill(own_server, restart):
    own_server.post(TABLE).raise_for_status()
    acknowledged: list[int] = []

    def write() -> None:
        for batch in range(1000):
            rows = "".join(f"{batch * 100 + n}\t0.5\n" for n in range(100))
            try:
                answer = own_server.post(rows, query="INSERT INTO default.kept FORMAT TSV")
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged.append(batch)

    writing = threading.Thread(target=write)
    writing.start()
    while len(acknowledged) < 20:
        time.sleep(0.01)
    own_server.kill()
    writing.join(60)
    again = restart(own_server)
    found = {int(n) // 100 for n in again.post("SELECT n FROM default.kept").text.split()}
    counts = again.post("SELECT count() FROM default.kept GROUP BY intDiv(n, 100) HAVING count() != 100").text
    assert found >= set(acknowledged)
    assert counts == ""


def test_the_lock_of_a_killed_owner_is_free_at_once(own_server, restart):
    own_server.kill()
    again = restart(own_server)
    assert (again.directory / "owner.lock").read_text() == str(again.process.pid)
    assert again.stop() == 0
    assert (again.directory / "owner.lock").read_text() == ""


def test_only_loopback_is_bound(server):
    sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
    local = [line.split()[1] for line in sockets if line.split()[3] == "0A"]
    assert f"0100007F:{server.port:04X}" in local
    assert f"00000000:{server.port:04X}" not in local
