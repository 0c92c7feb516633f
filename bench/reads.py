"""Reads of a user with 1,000 memories, as a share of the bare server's rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import requests
from bench.comparison import Comparison, compare
from bench.load import Calls, Load
from bench.measuring import Figure, at_least, at_most
from bench.processes import Server, echo, memsvc
from bench.sentences import questions

_USER = "user-1"
_MEMORIES = 1_000
_SEARCH_MILLISECONDS = 1.0
"""What a search may take beside the call itself."""
_SEARCHING: Final = ("search", "context.changing_query")
"""A context that does not hold all memories, for a query that was not asked before, contains a search: so its goals are
those of search."""


def measure(scratch: Path) -> Iterator[Figure]:
    with Load() as load, memsvc(scratch) as server, echo() as bare:
        requests.fill(load, server, [(_USER, _MEMORIES)])
        for name, share, calls in _kinds(server):
            compared = compare(load, calls, server, bare)
            yield from _figures(f"reads.{name}", compared, share, searches=name in _SEARCHING)


def _kinds(server: Server) -> Iterator[tuple[str, float | None, Calls]]:
    """Yield each kind of read with the share it should reach; None: shown only."""

    def calls(method: str, sent: list[bytes]) -> Calls:
        return Calls(server.address, method, sent)

    asked = questions(500, seed=5)
    small, ids = requests.list_pages(server, _USER, 20)
    large, _ = requests.list_pages(server, _USER, 100)
    yield "context", 0.8, calls(requests.COMPILE_CONTEXT, requests.contexts(_USER, asked[:1]))
    yield "context.changing_query", 0.3, calls(requests.COMPILE_CONTEXT, requests.contexts(_USER, asked))
    yield "get", 0.7, calls(requests.GET_MEMORY, requests.gets(_USER, ids))
    yield "list_20", 0.65, calls(requests.LIST_MEMORIES, small[:1])
    yield "list_20.further_pages", 0.65, calls(requests.LIST_MEMORIES, small[1:])
    yield "list_100", 0.5, calls(requests.LIST_MEMORIES, large[:1])
    yield "list_100.further_pages", 0.5, calls(requests.LIST_MEMORIES, large[1:])
    yield "search", 0.3, calls(requests.SEARCH_MEMORIES, requests.searches(_USER, asked))


def _figures(name: str, compared: Comparison, share: float | None, *, searches: bool) -> Iterator[Figure]:
    yield Figure(f"{name}.rate_share", compared.rate_share, "of the echo's", None if share is None else at_least(share))
    yield Figure(f"{name}.processor_share", compared.processor_share, "of the echo's")
    yield Figure(f"{name}.rate", compared.loaded.rate, "calls/s")
    yield Figure(f"{name}.p50", compared.single.median_seconds * 1e3, "ms")
    if searches:
        above = compared.single.median_seconds - 1.5 * compared.single_base.median_seconds
        yield Figure(f"{name}.p50_above_1.5_echoes", above * 1e3, "ms", at_most(_SEARCH_MILLISECONDS))
    else:
        yield Figure(f"{name}.p50_ratio", compared.time_ratio, "echoes", at_most(1.5))
