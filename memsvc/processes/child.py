"""A process that serves, as the supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Self

from memsvc.config import Config
from memsvc.errors import Error, Reason
from memsvc.log import Log
from memsvc.metrics.merging import Block
from memsvc.processes.messages import Channel, Failed, Serve, Serving

log = Log(__name__)

_EXIT_SECONDS: Final = 5.0
"""What a process may take to end once the time for its drain is over."""


class Child:
    """One process."""

    def __init__(
        self, number: int, process: asyncio.subprocess.Process, channel: Channel, drain_seconds: float
    ) -> None:
        self.number = number
        self._process = process
        self._channel = channel
        self._drain_seconds = drain_seconds
        self._serving: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def started(
        cls,
        number: int,
        config: Config,
        sources: Mapping[str, str],
        sockets: Mapping[str, int],
        collect: Callable[[], Awaitable[Sequence[Block]]],
    ) -> Self:
        """Start a process; `collect` answers it what all have counted.

        Raises Error where the system has no room for one more now.
        """
        try:
            own, theirs = socket.socketpair()
            with theirs:
                try:
                    process = await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", "memsvc.processes", str(theirs.fileno())),
                        stdin=asyncio.subprocess.DEVNULL,
                        pass_fds=(theirs.fileno(), *sockets.values()),
                        # Ctrl-C is for the supervisor: it ends the others in order.
                        start_new_session=True,
                    )
                except OSError:
                    own.close()
                    raise
        except OSError as error:
            raise Error(Reason.INTERNAL, f"cannot start a process: {error.strerror}") from error
        channel = Channel(*await asyncio.open_connection(sock=own), collect)
        channel.tell(Serve(number, config, dict(sources), dict(sockets)))
        return cls(number, process, channel, config.drain_seconds)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Negative: the number of the signal that ended it. None: it runs."""
        return self._process.returncode

    async def serves(self) -> Sequence[str]:
        """Return the addresses where it serves, once it does. Raises Error with its reason where it ends before."""
        return await asyncio.shield(self._serving)

    async def ended(self) -> int:
        """Return its exit code once it has ended."""
        code = await self._process.wait()
        await asyncio.shield(self._listening)
        return code

    async def counted(self) -> Sequence[Block]:
        """Return what it has counted. Raises ConnectionError where it has ended."""
        return await self._channel.collected()

    async def stop(self) -> None:
        """Let it drain, and end it where it takes longer than it may."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._drain_seconds + _EXIT_SECONDS):
                    await self.ended()
            except TimeoutError:
                log.warning("process_killed", process=self.number, pid=self.pid)
                self._signal(signal.SIGKILL)
            else:
                # One that still starts has not learned to drain: SIGTERM ends it.
                if self.exit_code not in (0, -signal.SIGTERM):
                    log.warning("process_ended_badly", process=self.number, pid=self.pid, exit_code=self.exit_code)
        await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def _listen(self) -> None:
        """Hear what it says until it has ended."""
        reason, why = str(Reason.INTERNAL), ""
        while (message := await self._channel.told()) is not None:
            if isinstance(message, Serving) and not self._serving.done():
                self._serving.set_result(message.addresses)
            elif isinstance(message, Failed):
                reason, why = message.reason, message.message
        self._channel.close()
        code = await self._process.wait()
        if not self._serving.done():
            why = why or f"process {self.number} ended with exit code {code} before it served"
            self._serving.set_exception(Error(Reason(reason), why))
            # Whoever waits for it has gone where all are told to stop.
            self._serving.exception()
