"""Opening the database: at once, or as soon as it can be reached."""

from __future__ import annotations

import asyncio

from memsvc.config import Config
from memsvc.errors import StorageUnavailable
from memsvc.log import Log
from memsvc.rpc.listeners import answering_probes
from memsvc.storage.driver import Driver
from memsvc.storage.registry import named, shown

log = Log(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 5.0


async def open_unless_stopped(driver: Driver, config: Config, told_to_stop: asyncio.Task[None]) -> bool:
    """Open the database and return True; False: somebody told the server to stop before.

    Raises Error where it cannot be opened, unless the settings say to wait until it can be reached.
    """
    opening = asyncio.create_task(_open(driver, config))
    await asyncio.wait({opening, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await told_to_stop
        return False
    await opening
    return True


async def _open(driver: Driver, config: Config) -> None:
    with named(config.storage_url):
        try:
            await driver.open()
        except StorageUnavailable as error:
            if not config.start_without_storage:
                raise
            reason = error.message
        else:
            return
    async with answering_probes(config.health_listen, of_several=config.processes > 1):
        await _open_once_reached(driver, config, reason)


async def _open_once_reached(driver: Driver, config: Config, reason: str) -> None:
    wait, said = _FIRST_WAIT_SECONDS, ""
    while True:
        if reason != said:
            log.warning("storage_away", database=shown(config.storage_url), because=reason)
            said = reason
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        try:
            await driver.open()
        except StorageUnavailable as error:
            reason = error.message
        else:
            return
