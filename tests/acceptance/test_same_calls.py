"""The same thousand calls through every driver at the same time: each reply is the same, field by field."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from memsvc.storage.conformance import Place
from tests.same_calls.clients import Clients
from tests.same_calls.server import JSON, METHODS, Server, connected
from tests.same_calls.world import World
from tests.torture.process import Installation

CALLS = 1_000
SEED = int(os.environ.get("MEMSVC_TEST_SEED", "11"))
# Nothing is learned before a call waits for it: so what a reply says of it does not depend on how fast the server is.
SETTINGS = {
    "engine": "rules",
    "quiet_seconds": 3600,
    "max_quiet_seconds": 3600,
    # Nor are vectors stored, which is a record of its own, at a time of its own.
    "store_vectors_after_seconds": 3600,
}
USERS = ("sarah", "é", "e\u0301", "team:support", "日本", "a/b", "{x}", "$where", "100%", "A", "a")
LEAST_REASONS = 12


@pytest.mark.timeout(600)
async def test_a_thousand_calls_are_answered_the_same_by_every_driver(
    fresh_stores: Mapping[str, Place], tmp_path: Path
) -> None:
    asked: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        servers = [await start(stack, tmp_path / name, name, place) for name, place in fresh_stores.items()]
        calls = Clients(World("same", USERS, Random(SEED)), Random(SEED)).calls()
        call = next(calls)
        for number in range(CALLS):
            answers = await asyncio.gather(*(server.answer(call) for server in servers))
            for server, answer in zip(servers, answers, strict=True):
                what = f"call {number} of seed {SEED}: {call.method} on {server.driver} and on {servers[0].driver}"
                assert answer == answers[0], f"{what}: {call.request}"
            asked[call.method] += 1
            reasons[reason_of(answers[0])] += 1
            call = calls.send(answers[0])
    assert set(asked) == set(METHODS)
    # Else the calls would say little: most succeed, and they fail in many ways.
    assert reasons[""] > CALLS / 2
    assert len(reasons) > LEAST_REASONS
    assert not {"INTERNAL", "STORAGE_UNAVAILABLE", "UNKNOWN"} & set(reasons)


async def start(stack: AsyncExitStack, folder: Path, driver: str, place: Place) -> Server:
    folder.mkdir()
    process = await stack.enter_async_context(Installation.on(folder, place, SETTINGS).serving())
    return await stack.enter_async_context(connected(driver, process.target))


def reason_of(answer: JSON) -> str:
    """Return why a call failed; empty: it did not."""
    failure = answer.get("failure", {"details": [{"reason": ""}]})
    return failure["details"][0]["reason"] if failure["details"] else failure["code"]
