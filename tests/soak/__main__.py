"""`python -m tests.soak --minutes 30`: exits with 1 if anything grows that must not. Stops by itself."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.soak.run import Sample, shown, soak

_LIMITS = {
    "resident_bytes": 16 << 20,
    "descriptors": 4,
    "threads": 2,
    "tasks": 20,
    "wal_bytes": 16 << 20,
    "lock_files": 0,
}
"""By how much the last quarter may be above the second one."""


def main() -> int:
    """Soak a server on SQLite and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="draws the same again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = asyncio.run(soak(Path(folder), options.minutes, options.seed, told=_told))
    print()
    print(shown(report.samples))
    grown = []
    for name, limit in _LIMITS.items():
        growth = report.growth(name)
        grown += [name] if growth > limit else []
        print(
            f"{name:<16} {growth:>+14,.1f} from the second quarter to the last, slope {report.slope(name):>+14,.1f} / h"
        )
    print(f"{'calls':<16} {', '.join(f'{name} {count}' for name, count in report.calls.most_common())}")
    for each in report.unexpected[:20]:
        print(f"  {each}")
    print(f"{'duration':<16} {report.seconds:.0f} s")
    print(f"{'seed':<16} {options.seed}")
    return 1 if grown or report.unexpected else 0


def _told(sample: Sample) -> None:
    print(f"\r{sample.seconds:6.0f} s {sample.resident_bytes / 2**20:6.1f} MiB", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
