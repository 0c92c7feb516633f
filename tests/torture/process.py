"""A server as a process of its own: started, killed, frozen, drained, started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from memsvc.storage.conformance import Place
from tests.servers.process import ends_with_its_parent

START_SECONDS = 30.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.005
_LOG_TAIL_BYTES = 4_000


_ILL = re.compile(
    "Traceback|Fatal Python error|process_ended_badly|Task was destroyed|was never awaited|Exception ignored"
)
"""What a log says of an error that nobody caught, or of an end that is none."""


class ServerEnded(Exception):
    """The process ended otherwise than it should; the message has the end of its log."""


def ill_words(log: str) -> str:
    """Return what a log says from the first error on that nobody caught; empty: there is none."""
    ill = _ILL.search(log)
    return "" if ill is None else log[ill.start() :][:_LOG_TAIL_BYTES]


@dataclass(frozen=True, slots=True)
class Installation:
    """What all processes have in common that are started, one after the other or at once, on one database."""

    folder: Path
    """Holds sockets and logs. Its path must be short: a socket's may have about 100 bytes."""
    storage_url: str
    settings: Mapping[str, object] = field(default_factory=dict)
    """Flags of `memsvc serve`: `{"lease_seconds": 1}`."""
    program: Sequence[str] = ("memsvc",)
    """The module, and what it takes before `serve`."""
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def on(cls, folder: Path, place: Place, settings: Mapping[str, object]) -> Installation:
        """Return one on a place of its own in a database, which others may use as well."""
        options = ",".join(f"{name}={value}" for name, value in place.options.items())
        return cls(folder, place.url, {**settings, **({"storage_options": options} if options else {})})

    async def launch(
        self,
        *,
        listen: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
        **settings: object,
    ) -> Server:
        """Start a process and return at once. `within` is a command to run it in."""
        number = next(self.numbers)
        ready_file, log = self.folder / f"ready-{number}", self.folder / f"server-{number}.log"
        targets = listen or [f"unix://{self.folder}/{number}.sock"]
        flags = {"storage_url": self.storage_url, "ready_file": ready_file, **self.settings, **settings}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        arguments += [f"--listen={target}" for target in targets]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(*ends_with_its_parent(), *within, sys.executable, "-m", *self.program, "serve", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
            )
        return Server(process, targets[0], ready_file, log)

    @asynccontextmanager
    async def serving(self, **how: object) -> AsyncIterator[Server]:
        """Start a server, hand it out once it serves, and let it end afterwards. Raises ServerEnded as `close` does."""
        server = await self.launch(**how)  # type: ignore[arg-type]
        try:
            await server.ready()
            yield server
        except BaseException:
            await server.kill()
            raise
        await server.close()


@dataclass(slots=True)
class Server:
    """One process."""

    process: asyncio.subprocess.Process
    target: str
    """The first address it listens on."""
    ready_file: Path
    log: Path
    _expected_to_end: bool = False
    """Whether it was ended, or its end awaited."""

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ready(self) -> None:
        """Return once it serves. Raises ServerEnded."""
        async with asyncio.timeout(START_SECONDS):
            while not self.ready_file.exists():
                if self.process.returncode is not None:
                    self._expected_to_end = True
                    raise self._ended()
                await asyncio.sleep(_POLL_SECONDS)

    async def kill(self) -> None:
        """End it at once, if it has not been ended already. Raises ServerEnded where it has ended by itself."""
        by_itself, self._expected_to_end = not self._expected_to_end, True
        self._signal(signal.SIGKILL)
        if await self.process.wait() != -signal.SIGKILL and by_itself:
            raise self._ended()

    async def close(self) -> None:
        """Let it drain and end, if it has not been ended already.

        Raises ServerEnded where it has ended by itself, where it does not end with 0, or where its log has errors that
        nobody caught.
        """
        if not self._expected_to_end:
            by_itself = self.process.returncode is not None
            self.thaw()
            if await self.stop() or by_itself:
                raise self._ended()
        if ill := ill_words(self.log.read_text(errors="replace")):
            raise ServerEnded(f"its log has errors: {ill}")

    async def kill_all(self) -> None:
        """End it at once, with the processes that it consists of."""
        processes = [] if self.process.returncode is not None else psutil.Process(self.pid).children()
        await self.kill()
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        while any(each.is_running() for each in processes):
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> int:
        """Ask it to drain and end; return its exit code."""
        self._signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; return its exit code, or the negative number of the signal that killed it."""
        self._expected_to_end = True
        async with asyncio.timeout(STOP_SECONDS):
            return await self.process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def log_tail(self) -> str:
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def _ended(self) -> ServerEnded:
        return ServerEnded(f"exit code {self.process.returncode}\n{self.log_tail()}")

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
