"""Everything a process does with users' memories, built once: what the edges (gRPC, later HTTP) call."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field, structs

from memsvc import __version__
from memsvc.administration import Administration
from memsvc.clock import now_micros
from memsvc.extraction.engine import Engine
from memsvc.extraction.jobs.events import Hints
from memsvc.extraction.jobs.extractions import HEARTBEAT_SECONDS, Extractions
from memsvc.extraction.jobs.worker import Worker, WorkerSettings
from memsvc.foreground import Foreground
from memsvc.memories.reading import MemoryReader
from memsvc.memories.watching import IDLE_SECONDS, MemoryHistory
from memsvc.memories.writing import MemoryWriter
from memsvc.sessions import Quiet, Sessions
from memsvc.storage.driver import Driver
from memsvc.users import Users
from memsvc.writing.writer import Writer

DEFAULT_QUOTA: Final = 10_000
"""Memories a user may have."""
DEFAULT_REQUEST_BYTES: Final = 4 << 20
DEFAULT_DEADLINE_SECONDS: Final = 30.0
DEFAULT_CALLS: Final = 4_000
"""Unary calls under way at once."""


class ApplicationSettings(Struct, frozen=True, kw_only=True):
    """What a process is told about its work."""

    driver_name: str = ""
    """The scheme of the database's URL."""
    model: str = ""
    """The model that the engine uses; empty: none."""
    quota: int = DEFAULT_QUOTA
    quiet: Quiet = field(default_factory=Quiet)
    cache_bytes: int = 64 << 20
    max_request_bytes: int = DEFAULT_REQUEST_BYTES
    default_deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    max_calls: int = DEFAULT_CALLS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    idle_seconds: float = IDLE_SECONDS
    worker: WorkerSettings = field(default_factory=WorkerSettings)


class Application(Struct, frozen=True, kw_only=True):
    """The use cases of one process, on one database."""

    driver: Driver
    engine: Engine
    users: Users
    writer: Writer
    memory_writer: MemoryWriter
    memory_reader: MemoryReader
    memory_history: MemoryHistory
    sessions: Sessions
    extractions: Extractions
    administration: Administration
    worker: Worker
    """Not started yet."""
    foreground: Foreground
    settings: ApplicationSettings
    version: str = __version__
    start_time: int = field(default_factory=now_micros)


def build_application(
    driver: Driver, engine: Engine, settings: ApplicationSettings | None = None, foreground: Foreground | None = None
) -> Application:
    """Return the application on an open driver; nothing runs yet. `foreground` is what the engine gives way to."""
    settings = settings or ApplicationSettings()
    users = Users(driver, settings.cache_bytes)
    writer = Writer(users)
    hints = Hints()
    quota = settings.quota
    return Application(
        driver=driver,
        engine=engine,
        users=users,
        writer=writer,
        memory_writer=MemoryWriter(users, writer, quota),
        memory_reader=MemoryReader(users, bool(settings.model)),
        memory_history=MemoryHistory(users, settings.idle_seconds),
        sessions=Sessions(users, writer),
        extractions=Extractions(
            users, writer, engine, hints, quota, settings.worker.rights, settings.heartbeat_seconds
        ),
        administration=Administration(users, writer),
        worker=Worker(users, writer, engine, hints, structs.replace(settings.worker, quota=quota)),
        foreground=foreground or Foreground(),
        settings=settings,
    )
