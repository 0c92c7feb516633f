"""The suite finds what is broken in a driver that reaches its database over a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from memsvc.errors import StorageUnavailable
from memsvc.storage.conformance import Case, Verdict, calls, cases, run_case
from memsvc.storage.driver import Outcome
from tests.conformance.remote import TIMEOUT_SECONDS, RemoteDriver, Streams, remote_place, server

THEMES = ("network.*", "broken_connections.*", "cancelling.*")


class WaitsForever(RemoteDriver):
    async def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return await self.exchange((name, args, kwargs))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise StorageUnavailable("the server does not answer") from error


class KeepsBrokenConnections(RemoteDriver):
    def failed(self, streams: Streams, error: BaseException) -> None:
        if isinstance(error, OSError | asyncio.IncompleteReadError):
            self._free.append(streams)
        else:
            super().failed(streams, error)


class KeepsCancelledConnections(RemoteDriver):
    def failed(self, streams: Streams, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._free.append(streams)
        else:
            super().failed(streams, error)


class ConnectsForEachCall(RemoteDriver):
    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self._turns = asyncio.Semaphore(1_000)


class WaitsForItsTurnFirst(RemoteDriver):
    async def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        async with self._turns:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await self.exchange((name, args, kwargs))
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                raise StorageUnavailable("the server does not answer") from error


class TakesSilenceForYes(RemoteDriver):
    async def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return await super().call(name, args, kwargs)
        except StorageUnavailable:
            if name == "append":
                return [Outcome.APPENDED] * len(args[0])
            raise


class LetsErrorsOfTheLibraryThrough(RemoteDriver):
    async def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._turns:
            return await self.exchange((name, args, kwargs))


BROKEN = (
    (WaitsForever, "test_a_frozen_server_is_unavailable_until_it_goes_on"),
    (WaitsForever, "test_open_fails_in_bounded_time"),
    (KeepsBrokenConnections, "test_a_server_that_refuses_is_unavailable_until_it_is_back"),
    (KeepsCancelledConnections, "test_cancelled_calls_leave_the_driver_usable"),
    (ConnectsForEachCall, "test_many_calls_share_few_connections"),
    (WaitsForItsTurnFirst, "test_many_calls_to_a_frozen_server_all_end"),
    (TakesSilenceForYes, "test_an_append_whose_reply_was_lost_applies_once"),
    (TakesSilenceForYes, "test_an_append_that_a_frozen_server_held_is_whole_or_absent"),
    (LetsErrorsOfTheLibraryThrough, "test_a_silent_network_is_unavailable_until_it_is_well"),
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases(*THEMES)])
async def test_a_driver_that_is_whole_passes(case: Case) -> None:
    async with server() as address:
        result = await run_case(case, remote_place(RemoteDriver, address))
    assert result.verdict is not Verdict.FAILED, result.reason


@pytest.mark.parametrize(
    ("broken", "name"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}") for pair in BROKEN]
)
async def test_the_suite_finds(broken: type[RemoteDriver], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 3 * TIMEOUT_SECONDS)
    [case] = cases(name)
    async with server() as address:
        result = await run_case(case, remote_place(broken, address))
    assert result.verdict is Verdict.FAILED
