"""Sentinels: who is the master, and who tells when it is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from memsvc.log import Log
from memsvc_drivers.redis.connections import abort, ask, connected, next_message
from memsvc_drivers.redis.errors import NoMaster, Unreachable
from memsvc_drivers.redis.settings import Address, Settings

_LAGGARDS_SECONDS = 0.2
"""How long to wait for the other Sentinels after the first has answered."""
log = Log(__name__)

_AGAIN_SECONDS = 1.0


class _Named(NamedTuple):
    """What one Sentinel says: the latest configuration is right."""

    epoch: int
    master: Address


async def find_master(settings: Settings) -> Address:
    """Return whom the Sentinels name. Raises Unreachable."""
    asking = {asyncio.create_task(_ask(settings, address)) for address in settings.hosts}
    named: list[_Named] = []
    error: BaseException | None = None
    unknown = False
    try:
        waiting = asking
        while waiting:
            timeout = _LAGGARDS_SECONDS if named else None
            done, waiting = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for answer in done:
                error = answer.exception() or error
                if answer.exception() is None:
                    found = answer.result()
                    unknown = unknown or found is None
                    named += [found] if found is not None else []
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if not named:
        raise Unreachable from NoMaster() if unknown else error
    return max(named).master


async def watch_master(settings: Settings, on_switch: Callable[[], None]) -> None:
    """Listen to all Sentinels, for good, and tell when one of them says that the master is another one.

    To all, for one that is cut off from the others does not hear of it.
    """
    await asyncio.gather(*(_keep_listening(settings, address, on_switch) for address in settings.hosts))


async def _ask(settings: Settings, address: Address) -> _Named | None:
    connection = await _connected(settings, address)
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            found = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service)
            if not found:
                return None
            facts = _pairs(await ask(connection, "SENTINEL", "MASTER", settings.service))
    finally:
        await abort(connection)
    return _Named(int(facts.get(b"config-epoch", 0)), Address(found[0].decode(), int(found[1])))


async def _keep_listening(settings: Settings, address: Address, on_switch: Callable[[], None]) -> None:
    silent = False

    def heard() -> None:
        nonlocal silent
        silent = False
        on_switch()

    while True:
        try:
            await _listen(settings, address, heard)
        except Exception as error:
            if not silent:
                log.warning("sentinel_not_heard", address=str(address), error=type(error).__name__)
            silent = True
            await asyncio.sleep(_AGAIN_SECONDS)


async def _listen(settings: Settings, address: Address, on_switch: Callable[[], None]) -> None:
    timeout_seconds = settings.connect_timeout_ms / 1000
    connection = await _connected(settings, address)
    try:
        async with asyncio.timeout(timeout_seconds):
            await ask(connection, "SUBSCRIBE", "+switch-master")
        # What happened before this connection is not told.
        on_switch()
        while True:
            reply = await next_message(connection, timeout_seconds)
            if reply[0] == b"message" and reply[2].split(b" ")[0] == settings.service.encode():
                on_switch()
    finally:
        await abort(connection)


async def _connected(settings: Settings, address: Address) -> AbstractConnection:
    return await connected(settings, address, settings.sentinel_credentials, database=0)


def _pairs(reply: Iterable[bytes] | ResponseError) -> dict[bytes, bytes]:
    entries = iter(reply) if not isinstance(reply, ResponseError) else iter(())
    return dict(zip(entries, entries, strict=True))
