"""A memsvc process whose database can be taken away, and calls that show what it does then."""

from __future__ import annotations

import asyncio
import enum
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from memsvc.storage.conformance.proxy import Proxy, proxied
from tests.same_calls.server import JSON, Call, Server, connected
from tests.servers.process import DatabaseServer
from tests.torture.process import Installation
from tests.torture.process import Server as Process

CALL_SECONDS = 2.0
SCOPE = {"namespace": "faults", "user_id": "sarah"}
STALE = {"scope": SCOPE, "consistency": {"max_staleness": "3600s"}}
SETTINGS: Mapping[str, object] = {"engine": "rules", "poll_seconds": 0.2}

LATEST_READ = Call("ListMemories", {"scope": SCOPE}, seconds=CALL_SECONDS)
STALE_READS = [
    Call("ListMemories", STALE, seconds=CALL_SECONDS),
    Call("SearchMemories", {**STALE, "query": "skiing"}, seconds=CALL_SECONDS),
    Call("GetUserMemory", STALE, seconds=CALL_SECONDS),
    Call("CompileContext", STALE, seconds=CALL_SECONDS),
    Call("GetStats", STALE, seconds=CALL_SECONDS),
]
UNAVAILABLE = ("UNAVAILABLE", "STORAGE_UNAVAILABLE", True)
LATE = ("DEADLINE_EXCEEDED", "", False)
"""The client's own clock was first: memsvc answers a little before it, which a busy machine may not manage."""


class Outage(enum.StrEnum):
    """How a database can be away."""

    KILLED = "killed"
    FROZEN = "frozen"
    CUT = "cut off"
    BLACKHOLED = "blackholed"


@asynccontextmanager
async def outage(kind: Outage, database: DatabaseServer, proxy: Proxy) -> AsyncIterator[None]:
    """Take the database away; on exit it is back."""
    match kind:
        case Outage.KILLED:
            database.kill()
        case Outage.FROZEN:
            database.freeze()
        case Outage.CUT:
            await proxy.cut()
        case Outage.BLACKHOLED:
            proxy.blackhole()
    yield
    match kind:
        case Outage.KILLED:
            database.launch()
            await database.ready()
        case Outage.FROZEN:
            database.thaw()
        case Outage.CUT | Outage.BLACKHOLED:
            proxy.resume()


@dataclass(slots=True)
class Service:
    """One memsvc, and what it acknowledged."""

    server: Server
    process: Process
    acknowledged: set[str] = field(default_factory=set)
    failures: set[tuple[str, str, bool]] = field(default_factory=set)
    """Of writes: code, reason, whether it says when to try again."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def write(self, size: int = 0, seconds: float = CALL_SECONDS) -> JSON:
        """Write a memory of at least `size` bytes, and note what came of it."""
        text = f"Likes skiing, {next(self._numbers)} times".ljust(size, "!")
        answer = await self.server.answer(creation(text, seconds))
        if "failure" in answer:
            self.failures.add(failure_of(answer))
        else:
            self.acknowledged.add(text)
        return answer

    async def refusal(self, call: Call) -> tuple[str, str, bool]:
        """Return how a call fails."""
        failure = LATE
        while failure == LATE:
            failure = failure_of(await self.server.answer(call))
        return failure

    async def write_until_good(self) -> float:
        """Write until it is acknowledged, and return how long that took."""
        started = time.monotonic()
        while "failure" in await self.write():
            pass
        return time.monotonic() - started

    @asynccontextmanager
    async def writing(self, writers: int = 6) -> AsyncIterator[None]:
        """Let several write without pause."""
        ending = False

        async def work() -> None:
            while not ending:
                await self.write()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(writers):
                tasks.create_task(work())
            try:
                yield
            finally:
                ending = True

    async def texts(self) -> list[str]:
        """Return all memories."""
        found: list[str] = []
        token = ""
        while True:
            request = {"scope": SCOPE, "page_size": 1_000, "page_token": token}
            answer = await self.server.answer(Call("ListMemories", request))
            assert "failure" not in answer, answer
            found += [memory["text"] for memory in answer["replies"][0].get("memories", ())]
            token = answer["replies"][0].get("next_page_token", "")
            if not token:
                return found


def creation(text: str, seconds: float = CALL_SECONDS) -> Call:
    """Return the call that creates a memory."""
    request = {"scope": SCOPE, "memory": {"text": text}, "request_id": str(uuid.uuid4())}
    return Call("CreateMemory", request, seconds=seconds)


def failure_of(answer: JSON) -> tuple[str, str, bool]:
    """Return how a call failed: code, reason, whether it says when to try again."""
    failure = answer["failure"]
    reasons = [detail["reason"] for detail in failure["details"] if "reason" in detail]
    return failure["code"], "".join(reasons), any("retry_delay" in detail for detail in failure["details"])


@asynccontextmanager
async def served(url: str, folder: Path, **settings: object) -> AsyncIterator[Service]:
    """Serve a database, and see that the process ends well."""
    installation = Installation(folder, url, {**SETTINGS, **settings})
    async with installation.serving() as process, connected("", process.target) as server:
        yield Service(server, process)
        assert await process.stop() == 0, process.log_tail()


@asynccontextmanager
async def served_through_proxy(database: DatabaseServer, folder: Path) -> AsyncIterator[tuple[Service, Proxy]]:
    """Serve a database that is reached through a proxy."""
    async with proxied(("127.0.0.1", database.port)) as proxy:
        async with served(database.url.replace(f":{database.port}", f":{proxy.port}"), folder) as service:
            yield service, proxy
