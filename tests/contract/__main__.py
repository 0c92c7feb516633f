"""`python -m tests.contract`: run the cases of clients/contract with every client that there is."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.contract.cases import Case, cases
from tests.contract.executor import CLIENTS, Executor, ExecutorFailed, Unsupported, languages
from tests.contract.matching import Mismatch
from tests.contract.running import Running
from tests.contract.table import PAGE, Outcome, page
from tests.contract.world import TRANSPORTS, World, world


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run."""

    cases: Sequence[Case]
    kills: int
    verbose: bool


def main() -> None:
    """Run what is asked for; exit with 1 where a case fails, or the table says something else."""
    options = _options()
    chosen = [case for case in cases() if not options.case or any(each in case.name for each in options.case)]
    if not chosen:
        sys.exit("no case has that in its name")
    wanted = Wanted(chosen, options.kills, options.verbose)
    begun = time.monotonic()
    outcomes = asyncio.run(_all(wanted, options.language, options.transport, options.at_once))
    failed = [each for each in outcomes if each.failure]
    for each in failed:
        print(f"\nFAILED {each.language} over {each.transport}: {each.case.group}: {each.case.name}\n  {each.failure}")
    print(f"{len(outcomes)} runs of {len(chosen)} cases, {len(failed)} failed, {time.monotonic() - begun:.0f} s")
    if failed:
        sys.exit(1)
    before = PAGE.read_text(encoding="utf-8")
    if options.table:
        PAGE.write_text(page(outcomes, before), encoding="utf-8")
    elif options.check_table and page(outcomes, before) != before:
        sys.exit(f"{PAGE.relative_to(CLIENTS.parent)} says something else: python -m tests.contract --table")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    there = languages()
    parser.add_argument("--language", action="append", choices=there, help="only this one; repeatable")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="only this one; repeatable")
    parser.add_argument("--case", action="append", metavar="TEXT", help="only cases that have this in their name")
    parser.add_argument("--kills", type=int, default=2, help="how often cases kill the server that do so repeatedly")
    parser.add_argument("--at-once", type=int, default=3, help="how many servers there are at once")
    parser.add_argument(
        "--table", action="store_true", help=f"write {PAGE.relative_to(CLIENTS.parent)}: the languages that were run"
    )
    parser.add_argument("--check-table", action="store_true", help="fail where it says something else")
    parser.add_argument("--verbose", action="store_true", help="name each case and how long it took")
    options = parser.parse_args()
    options.language = options.language or there
    options.transport = options.transport or list(TRANSPORTS)
    return options


async def _all(wanted: Wanted, chosen: Sequence[str], transports: Sequence[str], at_once: int) -> list[Outcome]:
    places = asyncio.Semaphore(at_once)

    async def one(language: str, transport: str) -> list[Outcome]:
        async with places, world(transport) as opened:
            return await _run(wanted, language, opened)

    runs = itertools.product(chosen, transports)
    return list(itertools.chain(*await asyncio.gather(*(one(*each) for each in runs))))


async def _run(wanted: Wanted, language: str, opened: World) -> list[Outcome]:
    """Run the cases with one language over one transport, one after the other."""
    outcomes = []
    pair = [Executor(each, Path(opened.folder) / f"{each}-{at}.log") for at, each in enumerate((language, "python"))]
    for executor in pair:
        await executor.start()
    for case in wanted.cases:
        if case.transports is not None and opened.transport not in case.transports:
            continue
        begun = time.monotonic()
        outcome = Outcome(case, language, opened.transport)
        try:
            await Running(case, opened, *pair, wanted.kills).run()
        except Unsupported as unsupported:
            outcome.unsupported = str(unsupported)
        except (Mismatch, ExecutorFailed) as failure:
            outcome.failure = str(failure)
            for executor in pair:
                await executor.abandon()
                await executor.start()
        outcomes.append(outcome)
        if wanted.verbose:
            how = "failed" if outcome.failure else f"{time.monotonic() - begun:.2f} s"
            print(f"{language} over {opened.transport}: {case.name}: {how}", flush=True)
    for executor in pair:
        try:
            await executor.stop()
        except ExecutorFailed as failure:
            outcomes[-1].failure = str(failure)
    return outcomes


if __name__ == "__main__":
    main()
