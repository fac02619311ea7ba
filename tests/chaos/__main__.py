"""`make chaos ARGS="--minutes 10 --seed 7"`: a long storm, the other arms of the comparison, and the table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from storm.report import ARMS, account, judged, machine, table
from storm.storm import Aftermath, Storm, StormSettings

from runstream_deploy.dev import ClickHouseService, KafkaService
from services.native import temporary

SEED_VARIABLE = "RUNSTREAM_CHAOS_SEED"


def main() -> int:
    """0 when every invariant holds in every arm that promises it, and the arm without layers shows duplicates."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(os.environ.get(SEED_VARIABLE, "7")))
    parser.add_argument("--minutes", type=float, default=3.0, help="of the storm over all layers (default 3)")
    parser.add_argument("--arm-minutes", type=float, default=1.0, help="of each other arm (default 1); 0: no other arm")
    parser.add_argument("--every", type=float, default=1.5, help="seconds between two blows, on average")
    parser.add_argument("--keep", type=Path, help="keep journals and logs in this directory")
    given = parser.parse_args()
    command = (
        f'make chaos ARGS="--seed {given.seed} --minutes {given.minutes:g} --arm-minutes {given.arm_minutes:g} '
        f'--every {given.every:g}"'
    )
    print(f"{command}\n{machine()}\n", flush=True)
    outcomes: list[tuple[str, Aftermath]] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="runstream-chaos-") as made:
        place = given.keep or Path(made)
        for number, (mode, unsafe) in enumerate(ARMS.items()):
            minutes = given.arm_minutes if unsafe else given.minutes
            if minutes <= 0:
                continue
            print(f"-- {mode}", flush=True)
            settings = StormSettings(given.seed, minutes * 60, given.every, unsafe=unsafe)
            try:
                after = one(settings, place / f"arm-{number}")
            except Exception as error:
                traceback.print_exc()
                failures.append(f"{mode}: {error!r}")
                continue
            outcomes.append((mode, after))
            print(f"{table([(mode, after)])}\n{account(after)}", flush=True)
            failures += [f"{mode}: {text}" for text in judged(after)]
    accounts = "\n".join(f"{mode}: {account(after)}" for mode, after in outcomes)
    print(f"\n{table(outcomes)}\n\n{accounts}\n{machine()}\n`{command}`")
    if failures:
        print("\nNOT HELD\n" + "\n".join(failures) + f"\nAgain: {command}", file=sys.stderr)
    return 1 if failures else 0


def one(settings: StormSettings, directory: Path) -> Aftermath:
    """A storm on services of its own."""

    def report(text: str) -> None:
        print(text, flush=True)

    with (
        temporary(KafkaService) as kafka,
        temporary(ClickHouseService) as clickhouse,
        closing(Storm(settings, kafka, clickhouse, directory, report)) as storm,
    ):
        return storm.run()


if __name__ == "__main__":
    sys.exit(main())
