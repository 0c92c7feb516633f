"""What the suite says of a driver that breaks a promise."""

from __future__ import annotations

from memsvc.storage.conformance import Place, Verdict, cases, run_case
from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver


async def verdict_on(broken: type[MemoryDriver], name: str) -> Verdict:
    """Run one test on a driver of this type."""

    class Broken(Place):
        def connect(self) -> Driver:
            return broken(self.url, self.options)

    [case] = cases(name)
    return (await run_case(case, Broken("memory://broken", {}))).verdict
