"""`python -m tests.torture --driver sqlite --rounds 100`: exits with 1 if anything is lost, doubled or unfinished."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from statistics import median

from memsvc.config import DEFAULTS
from tests.servers.process import ServerMissing
from tests.torture.databases import DATABASES
from tests.torture.ledger import Ledger
from tests.torture.run import Report, torture

_SHOWN_FINDINGS = 40
_SHORT = {"postgres": "postgresql", "mongo": "mongodb"}


def main() -> int:
    """Torture a database and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--driver", choices=sorted([*DATABASES, *_SHORT]), default="sqlite")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--servers", type=int, default=1, help="how many serve at once")
    parser.add_argument("--processes", type=int, default=1, help="of each server; single ones are killed, too")
    parser.add_argument("--cache-bytes", type=int, default=DEFAULTS.cache_bytes, help="of each server")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000), help="repeats what can be")
    parser.add_argument("--keep", action="store_true", help="keep the servers' logs, and SQLite's file")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        database = DATABASES[_SHORT.get(options.driver, options.driver)](folder)
    except ServerMissing as missing:
        print(missing)
        return 2
    try:
        tortured = torture(
            database,
            folder,
            options.rounds,
            options.seed,
            servers=options.servers,
            processes=options.processes,
            cache_bytes=options.cache_bytes,
            told=_told,
        )
        report = asyncio.run(tortured)
    finally:
        for number, server in enumerate(database.servers):
            shutil.copy(server.log, folder / f"database-{number}.log")
        database.close()
    print()
    _print(report)
    if report.passed and not options.keep:
        shutil.rmtree(folder)
    else:
        print(f"{'logs':<14} {folder}")
    return 0 if report.passed else 1


def _told(number: int, ledger: Ledger) -> None:
    print(f"\rround {number}: {ledger.acknowledged} acknowledged, {len(ledger.findings)} wrong", end="", flush=True)


def _print(report: Report) -> None:
    for finding in report.findings[:_SHOWN_FINDINGS]:
        print(f"  {finding.wrong} {finding.user_id}: {finding.what}")
    if len(report.findings) > _SHOWN_FINDINGS:
        print(f"  ... and {len(report.findings) - _SHOWN_FINDINGS} more")
    rows = [
        ("rounds", report.rounds),
        ("kills", f"{report.kills} (of these {report.early_kills} while starting)"),
        *((what, _spread(seconds)) for what, seconds in report.pauses.items()),
        ("acknowledged", f"{report.acknowledged} (and {report.repeated} repeated, {report.given_up} given up)"),
        ("lost", report.lost),
        ("doubled", report.doubled),
        ("unfinished", report.unfinished),
        ("failed", f"{report.failed} (while the database was well)"),
        ("damaged", report.damaged),
        ("duration", f"{report.seconds:.0f} s"),
        ("seed", report.seed),
    ]
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        print(f"{label:<{width}} {value}")


def _spread(pauses: Sequence[float]) -> str:
    least, most = min(pauses), max(pauses)
    return f"{len(pauses)} times: {least:.1f}, {median(pauses):.1f}, {most:.1f} s without a write (min, median, max)"


if __name__ == "__main__":
    sys.exit(main())
