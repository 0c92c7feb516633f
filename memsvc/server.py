"""The composition root: build, start, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from memsvc import allocator
from memsvc.application import Application, build_application
from memsvc.config import Config
from memsvc.endpoint.environment import environment_problems
from memsvc.errors import Error, Reason, invalid
from memsvc.extraction.engines import build_engine, engine_reason
from memsvc.foreground import Foreground
from memsvc.log import Log, end_logging, start_logging
from memsvc.meaning.embedders import build_embedder
from memsvc.opening import open_unless_stopped
from memsvc.place import Alone, Place
from memsvc.rpc.listeners import Edge, serving
from memsvc.stopping import Stopping
from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect, shown

if TYPE_CHECKING:
    from memsvc.http.port import Port

log = Log("memsvc")

_SWITCH_SECONDS = 0.001


NO_SOURCES: Final[Mapping[str, str]] = MappingProxyType({})


def run(config: Config, sources: Mapping[str, str] = NO_SOURCES) -> None:
    """Serve until SIGTERM or SIGINT. `sources`: where each setting came from that is no default."""
    start_logging(config.log_level, config.log_format)
    run_in_loop(lambda: serve_and_end(config, sources, Alone(config)))


def run_in_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what serves in the event loop that serves best here."""
    allocator.tune()
    if sys.platform == "win32":
        asyncio.run(main())
        return
    import uvloop

    _let_many_connect()
    uvloop.run(main())


def _let_many_connect() -> None:
    """Take as many descriptors as the system grants: a connection needs one, and shells hand on 1,024 of them.

    gRPC says nothing where there is none left: clients wait until others go.
    """
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Where that is without end, some systems have a lower one that they do not tell.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve_and_end(config: Config, sources: Mapping[str, str], place: Place) -> None:
    """Serve, and end the process where something that belongs to a stop could not be done in time.

    Raises Error when it cannot start.
    """
    if not await serve(config, sources, place):
        # A thread may wait for the database without end, and the interpreter would wait for the thread.
        end_logging()
        os._exit(0)


async def serve(config: Config, sources: Mapping[str, str], place: Place) -> bool:
    """Serve until told to stop, then drain; return whether all could be done that belongs to it in time.

    Raises Error when it cannot start.
    """
    foreground = Foreground()
    engine = build_engine(config, foreground)
    embedder = build_embedder(config)
    driver = connect(config.storage_url, config.storage_options)
    told_to_stop = asyncio.create_task(place.told_to_stop())
    try:
        if not await open_unless_stopped(driver, config, told_to_stop):
            return True
    except BaseException:
        told_to_stop.cancel()
        raise
    stopping = Stopping(config.drain_seconds)
    try:
        _refuse_to_share(config, driver)
        application = build_application(driver, engine, config, foreground, embedder)
        following = asyncio.create_task(application.users.follow())
        giving_back = asyncio.create_task(allocator.give_back_what_bursts_leave())
        try:
            async with (
                serving(
                    application,
                    config.listen,
                    insecure=config.insecure,
                    health_listen=config.health_listen,
                    sockets=place.sockets,
                ) as edge,
                _operators_port(application, edge, place) as port,
            ):
                application.worker.start()
                tune_interpreter()
                over_http = [f"http://{port.address}"] if port is not None else []
                place.serves([*edge.addresses, *over_http])
                facts = _facts(application, sources, place.number)
                log.info("serving", **facts, addresses=",".join((*edge.all_addresses, *over_http)))
                if application.model:
                    for problem in environment_problems(os.environ):
                        log.warning("model_not_reachable", because=problem)
                ended = asyncio.create_task(edge.ended())
                await asyncio.wait({told_to_stop, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not told_to_stop.done():
                    # Whoever started the process is to start another: what is left would answer probes, and no calls.
                    raise Error(Reason.INTERNAL, "gRPC's server has ended by itself")
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
async def _operators_port(application: Application, edge: Edge, place: Place) -> AsyncIterator[Port | None]:
    """Serve HTTP where that is wanted; what it needs is imported only then."""
    if not application.settings.http_listen:
        yield None
        return
    from memsvc.http.metrics import MetricsPage
    from memsvc.http.port import serving_http

    metrics = MetricsPage(application, edge)
    try:
        async with serving_http(application, edge, {"/metrics": place.page(metrics)}, place.sockets) as port:
            yield port
    finally:
        metrics.close()


def _refuse_to_share(config: Config, driver: Driver) -> None:
    """Raise InvalidArgument where several processes are wanted, and the database is of one."""
    shared = driver.capabilities().shared
    if config.processes > 1 and not shared.supported:
        where = f"{shown(config.storage_url)} is of {shared.reason}"
        raise invalid("processes", f"more than 1 need a database that processes can share, and {where}")


def _facts(application: Application, sources: Mapping[str, str], process: int) -> dict[str, object]:
    """Return what whoever starts a server wants to know of it. `process`: which of several; 0: there is one."""
    settings = application.settings
    return {
        "process": process or None,
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
    each time. A collection looks at what was made since the last two, some 16,000 objects, however many users come into
    RAM. Each call leaves five that cycle, within gRPC; states hold nothing that does, so that everything is looked at
    rarely: after 28 million new objects.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(8_000, 0, 1_750)
