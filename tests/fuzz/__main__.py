"""`python -m tests.fuzz --requests 150000`: exits with 1 if any answer is not one that the API allows."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.fuzz.run import STALL_SECONDS, TRANSPORTS, fuzz


def main() -> int:
    """Fuzz a server on SQLite and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=150_000)
    parser.add_argument("--over", choices=TRANSPORTS, help="over one of them only, instead of both at once")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after so long, whatever was sent")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="draws the same again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        over = (options.over,) if options.over else TRANSPORTS
        report = asyncio.run(fuzz(Path(folder), options.requests, options.seed, minutes=options.minutes, over=over))
    for finding in report.findings:
        print(f"  {finding}")
    print(f"{'sent':<14} {report.sent} in {report.seconds:.0f} s")
    print(f"{'answered':<14} {', '.join(f'{name} {count}' for name, count in report.statuses.most_common())}")
    print(f"{'longest stall':<14} {report.longest_seconds * 1e3:.0f} ms")
    print(f"{'findings':<14} {len(report.findings)}")
    print(f"{'seed':<14} {report.seed}")
    return 1 if report.findings or report.longest_seconds > STALL_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
