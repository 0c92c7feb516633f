"""A process of its own on the store under test: `python -m memsvc.storage.conformance.worker`.

It takes JSON commands on standard input, a line each, and answers with JSON lines; it ends when its input does. First
comes the place, `{"url": ..., "options": ..., "clock_offset_seconds": ...}`, here rather than in the arguments: others
can read those, and URLs hold passwords. Then, in any number:

`{"do": "migrate"}` answers the migration; `{"do": "open"}` the generation; `{"do": "append", "namespace": ...,
"user_id": ..., "count": ...}` answers seq and nonce of each append as it is acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from memsvc.model import Scope
from memsvc.storage.conformance.bench import Place
from memsvc.storage.conformance.items import item, outcome_of, state, tip_now, tip_of
from memsvc.storage.driver import Driver, Outcome


async def serve() -> None:
    """Obey until the input ends."""
    first = await _command()
    _shift_clock(first["clock_offset_seconds"])
    place = Place(first["url"], first["options"])
    driver = place.connect()
    _answer({"ready": True})
    try:
        while command := await _command():
            await _obey(driver, command)
    finally:
        await driver.close()


async def _obey(driver: Driver, command: Mapping[str, Any]) -> None:
    match command["do"]:
        case "migrate":
            migration = await driver.migrate()
            _answer({"found": migration.found, "wanted": migration.wanted, "steps": list(migration.steps)})
        case "open":
            await driver.open()
            _answer({"generation": driver.generation})
        case "append":
            scope = Scope(command["namespace"], command["user_id"])
            for _ in range(command["count"]):
                await _append_one(driver, scope)


async def _append_one(driver: Driver, scope: Scope) -> None:
    while True:
        tip = await tip_now(driver, scope)
        appended = item(scope, tip, puts=[state(tip.seq + 1)])
        if await outcome_of(driver, appended) is Outcome.APPENDED:
            _answer({"seq": tip_of(appended).seq, "nonce": tip_of(appended).nonce})
            return


def _shift_clock(seconds: int) -> None:
    """Let this process believe that it is so much later. Drivers are not loaded yet."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + seconds * 1_000_000_000


async def _command() -> dict[str, Any]:
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else {}


def _answer(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
