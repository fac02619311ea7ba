"""What can go wrong with the development services.

DevError
├── UnsupportedPlatform     this service has no build for this machine
├── ToolMissing             the installer needs a program that is not on PATH
├── InstallFailed           the program ran and failed
├── ChecksumMismatch        what was downloaded is not what was pinned
├── ServiceFailed           it was started and did not become healthy
└── NotRunning              it was asked to do something only a running service can
"""

from __future__ import annotations

from pathlib import Path

from runstream_deploy.errors import DeployError


class DevError(DeployError):
    """Any failure of the development services."""


class UnsupportedPlatform(DevError):
    """`service` has no build for `platform`."""

    def __init__(self, *, service: str, platform: str) -> None:
        self.service = service
        self.platform = platform
        super().__init__(
            f"{service} cannot be installed natively on {platform} (Linux on x86-64 only). "
            "Use deploy/compose.yaml, or a server of your own by its RUNSTREAM_* variable."
        )


class ToolMissing(DevError):
    """Installing `service` needs `tools`, and they are not on PATH."""

    def __init__(self, *, service: str, tools: tuple[str, ...]) -> None:
        self.service = service
        self.tools = tools
        super().__init__(
            f"{service} needs {' and '.join(tools)} on PATH. Install them (docs/development.md names the packages), "
            "or use deploy/compose.yaml."
        )


class InstallFailed(DevError):
    """An installer ended with an error; `output` is the end of what it printed."""

    def __init__(self, *, service: str, command: str, output: str) -> None:
        self.service = service
        self.command = command
        self.output = output
        super().__init__(f"Installing {service} failed. `{command}` printed:\n{output}\nMend the cause and try again.")


class ChecksumMismatch(DevError):
    """`file` is not what was pinned; nothing of it was kept."""

    def __init__(self, *, file: str, expected: str, found: str) -> None:
        self.file = file
        self.expected = expected
        self.found = found
        super().__init__(
            f"{file}: expected {expected}, found {found}. Nothing was installed. If your registry mirror "
            "serves altered files, use another; if the pin is meant to change, edit runstream_deploy/dev/pins.py."
        )


class ServiceFailed(DevError):
    """`service` did not become healthy; the log holds the reason."""

    def __init__(self, *, service: str, reason: str, log: Path, tail: str = "") -> None:
        self.service = service
        self.reason = reason
        self.log = log
        super().__init__(f"{service} {reason}. Its log: {log}" + (f"\n{tail}" if tail else ""))


class NotRunning(DevError):
    """`service` does not run in `directory`."""

    def __init__(self, *, service: str, directory: Path) -> None:
        self.service = service
        self.directory = directory
        super().__init__(f"{service} does not run in {directory}. Start it with `runstream dev up --dir {directory}`.")
