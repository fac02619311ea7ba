"""Make or refresh a virtual environment of this checkout: `python3 deploy/environment.py .venv requirements/dev.txt`.

Standard library only, because it runs before anything is installed. The lock file pins every package with its
hashes; the project itself is installed editable. A stamp in the environment holds the digest of what was installed, so
that a second call costs milliseconds. uv installs when it can be had (fetched with pip, pinned); else pip does the same
work, slower.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
OLDEST = (3, 11)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: environment.py ENVIRONMENT LOCKFILE", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        remedy = "Runstream needs 3.11 or newer. Use `make PYTHON=python3.12 …`."
        print(f"Python {found} is too old: {remedy}", file=sys.stderr)
        return 2
    target, lock = Path(arguments[0]).absolute(), Path(arguments[1]).absolute()
    wanted = digest(lock, ROOT / "pyproject.toml", Path(__file__))
    stamp = target / ".runstream-stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    started = time.monotonic()
    say(f"Setting up {target.name} from {lock.name} (once; later runs start in seconds)")
    try:
        build(target, lock)
    except subprocess.CalledProcessError as error:
        say(f"Could not set up {target.name}: `{' '.join(map(str, error.cmd))}` ended with {error.returncode}.")
        return 1
    stamp.write_text(wanted)
    say(f"{target.name} is ready after {time.monotonic() - started:.0f} s")
    return 0


def build(target: Path, lock: Path) -> None:
    python = target / "bin" / "python"
    if not python.exists():
        venv.create(target, with_pip=True, symlinks=True)
    environment = installer_environment()
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    # This may fail where only a mirror of the locked packages is reachable; pip alone is enough then.
    fetched = subprocess.run([*pip, "install", "--quiet", UV], env=environment, check=False)
    if fetched.returncode == 0:
        uv = str(target / "bin" / "uv")
        commands = [
            [uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(lock)],
            [uv, "pip", "install", "--python", str(python), "--no-deps", "-e", str(ROOT)],
        ]
        if all(subprocess.run(command, env=environment, check=False).returncode == 0 for command in commands):
            return
        say("uv could not install everything; trying pip")
    subprocess.run([*pip, "install", "--require-hashes", "-r", str(lock)], env=environment, check=True)
    subprocess.run([*pip, "install", "--no-deps", "-e", str(ROOT)], env=environment, check=True)


def installer_environment() -> dict[str, str]:
    """pip's index settings, said again in the words that uv reads."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)
    for ours, theirs in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if environment.get(ours) and not environment.get(theirs):
            environment[theirs] = environment[ours]
    environment.setdefault("UV_HTTP_TIMEOUT", "180")
    environment.setdefault("UV_LINK_MODE", "copy" if sys.platform == "win32" else "hardlink")
    return environment


def digest(*files: Path) -> str:
    whole = hashlib.sha256(sys.version.encode())
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
