"""`python -m bench.peers [--only NAME] [--short] [--draw]`: measure; write results.json and docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.environments import integrations_tool
from bench.peers import comparison, page
from bench.peers.results import Results
from bench.peers.subjects import PEERS

SCRATCH = Path("tmp")
"""Of the checkout, not of the system: that may be RAM, where nothing is durable."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--only", choices=PEERS, action="append", help="measure memsvc and this peer; can be repeated")
    parser.add_argument("--short", action="store_true", help="fewer rounds, and no user with 10,000 memories")
    parser.add_argument("--draw", action="store_true", help="measure nothing: write the page from results.json")
    parser.add_argument("--pin", action="store_true", help="write what the environments hold: the newest versions")
    options = parser.parse_args(arguments)
    if options.pin:
        for peer in options.only or PEERS:
            _pin(peer)
        return 0
    if not options.draw:
        _measure(options.only or PEERS, comparison.SHORT if options.short else comparison.Extent())
    page.write(Results.read())
    return 0


def _measure(peers: Sequence[str], extent: comparison.Extent) -> None:
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="peers-", ignore_cleanup_errors=True) as scratch:
        for said in comparison.compare(peers, extent, Path(scratch).resolve()):
            if isinstance(said, Results):
                Results.read().updated_by(said).write()
            else:
                print(said, flush=True)


def _pin(peer: str) -> None:
    tool = integrations_tool()
    folder = comparison.ENVIRONMENTS / peer
    tool.compile_pins(tool.uv_command(), folder / "pins.txt", folder / "requirements.in", upgrade=True)


if __name__ == "__main__":
    sys.exit(main())
