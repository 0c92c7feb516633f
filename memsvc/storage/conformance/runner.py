"""Runs the suite on a store, without pytest."""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from memsvc.storage.conformance.bench import Place, Skipped
from memsvc.storage.conformance.report import Report, Result, Verdict
from memsvc.storage.conformance.store import Store
from memsvc.storage.conformance.suite import Case, cases
from memsvc.storage.driver import Capabilities
from memsvc.storage.registry import scheme_of, shown

TEST_SECONDS = 60.0
"""How long one test may take."""


async def run(
    url: str,
    options: Mapping[str, str] | None = None,
    select: str | Sequence[str] = (),
    *,
    test_seconds: float = TEST_SECONDS,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Run the tests, all or those that `select` names (see `cases`), one after the other, and return how they ended.

    Safe on a database in use: each test keeps to a namespace of its own and erases its users; a tip and one empty
    record of each remain. An empty database gets its schema. Raises what `connect` and `open` raise, and
    InvalidArgument for a text that selects nothing.
    """
    if not __debug__:
        raise RuntimeError("the conformance suite asserts: run it without -O")
    chosen = cases(*_texts(select))
    place = Place(url, options or {})
    capabilities = await _prepare(place)
    results = []
    for case in chosen:
        result = await run_case(case, place, test_seconds=test_seconds)
        results.append(result)
        if on_result:
            on_result(result)
    return Report(shown(url), scheme_of(url), capabilities, results)


async def run_case(case: Case, place: Place, *, test_seconds: float = TEST_SECONDS) -> Result:
    """Run one test and return how it ended."""
    started = time.perf_counter()

    def ended(verdict: Verdict, reason: str = "") -> Result:
        return Result(case.theme, case.name, verdict, time.perf_counter() - started, reason)

    limit = asyncio.timeout(test_seconds)
    try:
        async with limit, Store(place) as store:
            await case.function(store)
    except Skipped as skipped:
        return ended(Verdict.SKIPPED, str(skipped))
    except Exception as error:
        return ended(Verdict.FAILED, f"no end after {test_seconds:g} s" if limit.expired() else _explain(error))
    return ended(Verdict.PASSED)


def _texts(select: str | Sequence[str]) -> Sequence[str]:
    return [select] if isinstance(select, str) and select else select


async def _prepare(place: Place) -> Capabilities:
    driver = place.connect()
    if (await driver.migrate(check=True)).found == 0:
        await driver.migrate()
    try:
        await driver.open()
        return driver.capabilities()
    finally:
        await driver.close()


def _explain(error: BaseException) -> str:
    """Return the error, the line of the suite that met it, and the values that the line names."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).parent == Path(__file__).parent
    ]
    said = [*traceback.format_exception_only(error), *getattr(error, "__notes__", ())]
    reason = "".join(said).strip()
    if not frames:
        return reason
    frame, line = frames[-1]
    summary = traceback.extract_tb(error.__traceback__)
    code = next((entry.line or "" for entry in reversed(summary) if entry.lineno == line), "")
    named = [name for name in dict.fromkeys(re.findall(r"[a-z_]\w*", code)) if name in frame.f_locals]
    where = f"{Path(frame.f_code.co_filename).name}:{line}: {code}"
    return "\n".join([reason, where, *(f"  {name} = {_short(frame.f_locals[name])}" for name in named)])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
