"""`python -m tests.soak --minutes 30`: exits with 1 if anything grows, or falls, that must not. Stops by itself."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.soak.run import Sample, shown, soak
from tests.torture.databases import DATABASES

_LIMITS = {
    "resident_bytes": 16 << 20,
    "descriptors": 4,
    "threads": 2,
    "tasks": 20,
    "objects": 30_000,
    "wal_bytes": 16 << 20,
    "lock_files": 0,
}
"""By how much the last quarter may be above the second one."""
_FALLS = {"none": 2_000, "true": 500, "false": 500}
"""By how many references it may be below that: what is in the caches changes, and has some."""


def main() -> int:
    """Soak a server and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="draws the same again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        database = DATABASES[options.database](Path(folder))
        try:
            report = asyncio.run(soak(database, Path(folder), options.minutes, options.seed, told=_told))
        finally:
            database.close()
    print()
    print(shown(report.samples))
    changed = []
    for name in (*_LIMITS, *_FALLS):
        growth = report.growth(name)
        if growth > _LIMITS.get(name, math.inf) or growth < -_FALLS.get(name, math.inf):
            changed.append(name)
        print(
            f"{name:<16} {growth:>+14,.1f} from the second quarter to the last, slope {report.slope(name):>+14,.1f} / h"
        )
    print(f"{'calls':<16} {', '.join(f'{name} {count}' for name, count in report.calls.most_common())}")
    for each in report.unexpected[:20]:
        print(f"  {each}")
    print(f"{'duration':<16} {report.seconds:.0f} s")
    print(f"{'seed':<16} {options.seed}")
    print(f"{'must not have':<16} {', '.join(changed) or 'nothing'}")
    return 1 if changed or report.unexpected else 0


def _told(sample: Sample) -> None:
    print(f"\r{sample.seconds:6.0f} s {sample.resident_bytes / 2**20:6.1f} MiB", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
