"""The `runstream` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; a missing extra is answered with the line that installs it."""
    try:
        from runstream_deploy.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("runstream"):
            raise
        print(
            f"The runstream command needs {error.name}, which is not installed. Run: pip install 'runstream[storage]'",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:  # while all that a command needs is imported
        raise SystemExit(130) from None
    app()
