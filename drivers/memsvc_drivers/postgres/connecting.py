"""Connections to the primary, whichever of the URL's hosts that is now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]

from memsvc.errors import invalid
from memsvc_drivers.postgres.errors import PostgresError
from memsvc_drivers.postgres.settings import Settings

_HEAD_START_SECONDS = 0.25
"""How long a host may take before the next one is tried beside it."""
_UNUSABLE = "cannot be used: does it name a user and a database, and are '@', '/' and '%' in the password escaped?"
_WARNING = "01000"
_WAIT_FOR_STANDBY = "SyncRepWaitForLSN"


class Connection(Protocol):
    """What is used of asyncpg's connections."""

    async def fetch(self, query: str, *arguments: object) -> list[Any]: ...
    async def fetchrow(self, query: str, *arguments: object) -> Any: ...
    async def fetchval(self, query: str, *arguments: object) -> Any: ...
    async def execute(self, query: str, *arguments: object) -> str: ...
    def transaction(self, *, isolation: str) -> AbstractAsyncContextManager[object]: ...
    async def add_listener(self, channel: str, callback: Callable[[Any, int, str, object], None]) -> None: ...
    def add_log_listener(self, callback: Callable[[Any, Any], None]) -> None: ...
    def add_termination_listener(self, callback: Callable[[Any], None]) -> None: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


class Connector:
    """Makes connections. Remembers which host was the primary."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hosts = list(settings.hosts)
        self._arguments = _arguments(settings)

    async def connect(self, deadline: float) -> Connection:
        """Return a connection to the first host that turns out to be a primary; its attempts end at `deadline`.

        Raises InvalidArgument for a URL that cannot be used, TimeoutError, or what the library raised for the first
        host in turn.
        """
        hosts = list(self._hosts)
        attempts: dict[asyncio.Task[Connection], str] = {}
        errors: dict[str, BaseException] = {}
        try:
            for number, host in enumerate(hosts, start=1):
                attempt = asyncio.ensure_future(self._attempt(host, deadline))
                attempts[attempt] = host
                head_start = None if number == len(hosts) else _HEAD_START_SECONDS
                while pending := [each for each in attempts if not each.done()]:
                    done, _ = await asyncio.wait(pending, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
                    for each in done:
                        if each.exception() is None:
                            return self._prefer(attempts.pop(each), each.result())
                        errors[attempts[each]] = each.exception() or TimeoutError()
                    if head_start is not None:
                        break
            raise _most_telling(errors, hosts)
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_end)

    async def _attempt(self, host: str, deadline: float) -> Connection:
        async with asyncio.timeout_at(min(deadline, _now() + self._settings.connect_timeout_ms / 1000)):
            try:
                connection: Connection = await asyncpg.connect(host, timeout=None, **self._arguments)
            except (asyncpg.ClientConfigurationError, ValueError) as error:
                if isinstance(error, OSError):
                    # A certificate that is not trusted is a ValueError, too.
                    raise
                # Neither the text nor the cause: they quote the URL, which may hold a password.
                raise invalid("storage_url", _UNUSABLE) from None
            connection.add_log_listener(_doubt)
            if self._settings.transaction_pooler:
                await _learn_types(connection)
            return connection

    def _prefer(self, host: str, connection: Connection) -> Connection:
        self._hosts.remove(host)
        self._hosts.insert(0, host)
        return connection


async def _learn_types(connection: Connection) -> None:
    """Let the library look up the types of arrays in one transaction, and so on one server.

    It does when it first meets them: it switches JIT off, asks, and switches it on again. Through a transaction pooler
    each of the three may come to another server, and the question takes seconds of compiling.
    """
    try:
        async with connection.transaction(isolation="read_committed"):
            await connection.fetchrow("SELECT $1::text[], $2::bigint[], $3::bytea[]", [], [], [])
    except BaseException:
        connection.terminate()
        raise


def _doubt(connection: Connection, message: Any) -> None:
    """End a connection whose server warns that somebody cancelled a commit's wait for a standby: it counts as made."""
    # Told from other warnings by where it comes from: their texts are translated, their SQLSTATE is the same.
    if message.sqlstate == _WARNING and message.server_source_function == _WAIT_FOR_STANDBY:
        connection.terminate()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _end(attempt: asyncio.Task[Connection]) -> None:
    """End a connection that came too late, and let no error of one that did not come go unheard."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def _most_telling(errors: dict[str, BaseException], hosts: list[str]) -> BaseException:
    """Return why there is no primary: what a server said counts more than that one did not answer."""
    in_order = [errors[host] for host in hosts if host in errors]
    return next((error for error in in_order if isinstance(error, PostgresError)), in_order[0])


def _arguments(settings: Settings) -> dict[str, Any]:
    if settings.transaction_pooler:
        return {"statement_cache_size": 0}
    timeout_ms = settings.operation_timeout_ms
    return {
        "statement_cache_size": 256,
        "max_cached_statement_lifetime": 0,
        "max_cacheable_statement_size": 0,
        "server_settings": {
            "application_name": "memsvc",
            "synchronous_commit": settings.synchronous_commit.value,
            "default_transaction_isolation": "read committed",
            # The server gives up before the driver does: so the connection stays in use.
            "statement_timeout": str(max(timeout_ms * 4 // 5, 1)),
            "lock_timeout": str(max(timeout_ms * 3 // 5, 1)),
            "idle_in_transaction_session_timeout": str(timeout_ms),
            # Plans are made once, while the tables may still be empty: so they must be those for full ones.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "jit": "off",
        },
    }
