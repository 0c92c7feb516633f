"""One kind of call against the bare server, with requests and replies of the same sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.load import Calls, Load, Round, Rounds, Turn
from bench.processes import Server

AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured at 16 at once and one at a time."""

    loaded: Rounds
    loaded_base: Rounds
    single: Rounds
    single_base: Rounds
    processor_seconds: float
    """What memsvc's process spent on a call, at 16 at once."""
    processor_seconds_base: float

    @property
    def rate_share(self) -> float:
        return self.loaded.rate_share(self.loaded_base)

    @property
    def time_ratio(self) -> float:
        return self.single.time_ratio(self.single_base)

    @property
    def processor_share(self) -> float:
        """The bare server's processor time as a share of memsvc's: what the rate's share is where it has a core."""
        return self.processor_seconds_base / self.processor_seconds


def compare(load: Load, calls: Calls, server: Server, bare: Server) -> Comparison:
    """Measure `calls` to `server` and the same bytes to `bare`, in turn."""
    ours = load.add(calls)
    warm = load.round(ours, AT_ONCE, 0.6)
    theirs = load.add(echo_calls(bare, calls.requests, warm))
    load.round(theirs, AT_ONCE, 0.3)
    before, before_base = server.processor_seconds, bare.processor_seconds
    loaded, loaded_base = load.alternate([Turn(ours, AT_ONCE), Turn(theirs, AT_ONCE)])
    spent, spent_base = server.processor_seconds - before, bare.processor_seconds - before_base
    single, single_base = load.alternate([Turn(ours), Turn(theirs)], seconds=0.2)
    return Comparison(loaded, loaded_base, single, single_base, spent / loaded.count, spent_base / loaded_base.count)


def echo_calls(bare: Server, requests: Iterable[bytes], measured: Round) -> Calls:
    """Return calls of the bare server that answer as many bytes as `measured` did on average."""
    return Calls(bare.address, f"/bench.Echo/{round(measured.reply_bytes)}", list(requests)[:1000])
