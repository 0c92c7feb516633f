"""The composition root: build, start, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from memsvc import allocator
from memsvc.application import Application, build_application
from memsvc.config import Config
from memsvc.endpoint.environment import environment_problems
from memsvc.errors import invalid
from memsvc.extraction.engines import build_engine, engine_reason
from memsvc.foreground import Foreground
from memsvc.log import Log, end_logging, start_logging
from memsvc.meaning.embedders import build_embedder
from memsvc.opening import open_unless_stopped
from memsvc.rpc.listeners import Edge, serving
from memsvc.stopping import Stopping
from memsvc.storage.registry import connect, shown

if TYPE_CHECKING:
    from memsvc.http.port import Port

log = Log("memsvc")

_UNLOCKED_POLL_SECONDS = 1.0
_SWITCH_SECONDS = 0.001


def run(config: Config, sources: Mapping[str, str] = MappingProxyType({})) -> None:
    """Serve until SIGTERM or SIGINT. `sources`: where each setting came from that is no default."""
    start_logging(config.log_level, config.log_format)
    allocator.tune()
    if sys.platform == "win32":
        asyncio.run(_serve_and_end(config, sources))
        return
    import uvloop

    uvloop.run(_serve_and_end(config, sources))


async def _serve_and_end(config: Config, sources: Mapping[str, str]) -> None:
    if not await serve(config, sources):
        # A thread may wait for the database without end, and the interpreter would wait for the thread.
        end_logging()
        os._exit(0)


async def serve(config: Config, sources: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Serve until told to stop, then drain; return whether all could be done that belongs to it in time.

    Raises Error when it cannot start.
    """
    foreground = Foreground()
    engine = build_engine(config, foreground)
    embedder = build_embedder(config)
    driver = connect(config.storage_url, config.storage_options)
    told_to_stop = asyncio.create_task(_told_to_stop(config))
    try:
        if not await open_unless_stopped(driver, config, told_to_stop):
            return True
    except BaseException:
        told_to_stop.cancel()
        raise
    stopping = Stopping(config.drain_seconds)
    try:
        application = build_application(driver, engine, config, foreground, embedder)
        following = asyncio.create_task(application.users.follow())
        giving_back = asyncio.create_task(allocator.give_back_what_bursts_leave())
        try:
            async with (
                serving(
                    application, config.listen, insecure=config.insecure, health_listen=config.health_listen
                ) as edge,
                _operators_port(application, edge) as port,
            ):
                application.worker.start()
                tune_interpreter()
                addresses = [*edge.all_addresses, *([f"http://{port.address}"] if port is not None else [])]
                _write_ready_file(config.ready_file, [*edge.addresses, *addresses[len(edge.all_addresses) :]])
                log.info("serving", **_facts(application, sources), addresses=",".join(addresses))
                if application.model:
                    for problem in environment_problems(os.environ):
                        log.warning("model_not_reachable", because=problem)
                await told_to_stop
                log.info("draining", seconds=config.drain_seconds)
                edge.start_draining()
                await asyncio.gather(
                    edge.drain(stopping.seconds_for_calls),
                    *([port.drain(stopping.seconds_for_calls)] if port is not None else []),
                )
        finally:
            told_to_stop.cancel()
            following.cancel()
            giving_back.cancel()
            await stopping.end("hand_back_extractions", application.worker.stop())
            if await application.writer.close(stopping.seconds_left):
                stopping.leave("write_what_waits")
            await stopping.end("close_model", engine.close())
            if embedder is not None:
                await stopping.end("close_embedder", embedder.close())
    finally:
        await stopping.end("close_database", driver.close())
    log.info("stopped")
    return not stopping.left_undone


@contextlib.asynccontextmanager
async def _operators_port(application: Application, edge: Edge) -> AsyncIterator[Port | None]:
    """Serve HTTP where that is wanted; what it needs is imported only then."""
    if not application.settings.http_listen:
        yield None
        return
    from memsvc.http.metrics import MetricsPage
    from memsvc.http.port import serving_http

    metrics = MetricsPage(application, edge)
    try:
        async with serving_http(application, edge, {"/metrics": metrics}) as port:
            yield port
    finally:
        metrics.close()


def _facts(application: Application, sources: Mapping[str, str]) -> dict[str, object]:
    """Return what whoever starts a server wants to know of it."""
    settings = application.settings
    return {
        "version": application.version,
        "database": shown(settings.storage_url),
        "engine": application.engine.name,
        "model": application.model,
        "because": engine_reason(settings, sources),
        "settings": ", ".join(f"{name} from {source}" for name, source in sources.items()) or "all defaults",
    }


def tune_interpreter() -> None:
    """Let the thread that writes have its turn soon, and leave what the start has made out of every collection.

    A driver's thread needs the interpreter after each statement; while the event loop is busy it would wait 5 ms,
    each time. States hold nothing that cycles, so collections may be rare.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _write_ready_file(path: str, addresses: Sequence[str]) -> None:
    if not path:
        return
    # Whoever waits for the file must never see half of it.
    ready = Path(path)
    unfinished = ready.with_name(f"{ready.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{address}\n" for address in addresses), encoding="utf-8")
    unfinished.replace(ready)


async def _told_to_stop(config: Config) -> None:
    """Return on SIGTERM, SIGINT, or once nobody else holds the lock of `exit_when_unlocked`."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    if not config.exit_when_unlocked:
        await stopping.wait()
        return
    try:
        lock = os.open(config.exit_when_unlocked, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise invalid("exit_when_unlocked", f"cannot open {config.exit_when_unlocked}: {error.strerror}") from error
    while not stopping.is_set():
        with contextlib.suppress(BlockingIOError):
            # Kept until the process ends: a client that comes now finds it held, and starts the next server.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNLOCKED_POLL_SECONDS):
                await stopping.wait()
