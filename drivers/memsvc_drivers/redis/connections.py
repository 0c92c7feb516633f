"""One connection: made with TLS and credentials, asked if its server is a replica, closed at once when in doubt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, RedisSSLContext, SSLConnection
from redis.exceptions import ReadOnlyError, ResponseError

from memsvc_drivers.redis.settings import TLS_FILES, Address, Credentials, Settings

Reply = Any
Command = Sequence[bytes | str | int]
QUIET_SECONDS = 10.0
"""After so long without a message a subscribed connection is tried."""
QUESTIONS: tuple[Command, ...] = (("ROLE",), ("INFO", "replication"))
"""What is asked. Where a server knows or allows neither, its role is unknown, and only a write tells."""


async def connected(
    settings: Settings, address: Address, credentials: Credentials | None = None, *, database: int | None = None
) -> AbstractConnection:
    """Return a new connection. Raises one of CONNECTION_ERRORS, or a ResponseError to a greeting."""
    found = settings.credentials if credentials is None else credentials
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": settings.database if database is None else database,
        "username": found.username or None,
        "password": found.password or None,
        "protocol": 2,
        # Without redis-py's own retries and timeouts: a command is sent once, and whoever sends it watches the clock.
        "socket_timeout": None,
        "socket_connect_timeout": settings.connect_timeout_ms / 1000,
    }
    if settings.tls is None:
        connection = Connection(**options)
    else:
        connection = SSLConnection(**options, **settings.tls)
        connection.ssl_context = tls_context(settings.tls)
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await abort(connection)
        raise
    return connection


def tls_context(tls: Mapping[str, Any]) -> RedisSSLContext:
    """Return what all TLS connections share: to make it takes long, and is due again only when a file has changed.

    Raises OSError where a file cannot be used.
    """
    changed = tuple(os.stat(tls[name]).st_mtime_ns for name in TLS_FILES if name in tls)
    return _tls_context(tuple(sorted(tls.items())), changed)


@lru_cache(maxsize=8)
def _tls_context(tls: tuple[tuple[str, Any], ...], changed: tuple[int, ...]) -> RedisSSLContext:
    context = SSLConnection(**dict(tls)).ssl_context
    context.get()
    return context


async def abort(connection: AbstractConnection) -> None:
    """Close a connection at once, without sending what is left."""
    writer = getattr(connection, "_writer", None)
    if writer is not None:
        writer.transport.abort()
    await connection.disconnect(nowait=True)


async def ask(connection: AbstractConnection, *command: bytes | str | int) -> Reply:
    """Send one command and return its reply. Raises ResponseError or one of CONNECTION_ERRORS."""
    await connection.send_packed_command(packed((command,)))
    return await connection.read_response(disable_decoding=True)


async def next_message(connection: AbstractConnection, timeout_seconds: float) -> Reply:
    """Return what a subscribed connection receives next, which may be an answer to a PING after a while of silence.

    Raises TimeoutError where that is not answered in time, or another one of CONNECTION_ERRORS.
    """
    try:
        return await _received(connection, QUIET_SECONDS)
    except TimeoutError:
        await connection.send_packed_command(packed((("PING",),)))
        return await _received(connection, timeout_seconds)


def packed(commands: Sequence[Command]) -> bytes:
    """Return commands as RESP, five times as fast as redis-py does: what an append costs here is mostly this."""
    parts: list[bytes] = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            text = word if isinstance(word, bytes) else str(word).encode()
            parts += (b"$%d\r\n" % len(text), text, b"\r\n")
    return b"".join(parts)


def has_ended(connection: AbstractConnection) -> bool:
    """Whether the server closed it, as it does when nothing came for long."""
    reader = getattr(connection, "_reader", None)
    return reader is None or reader.at_eof()


async def _received(connection: AbstractConnection, seconds: float) -> Reply:
    async with asyncio.timeout(seconds):
        return await connection.read_response(disable_decoding=True, disconnect_on_error=False)


def role_reply(reply: Reply) -> Reply:
    """Return the reply to one of the questions: of a replica an error, None of a server that refuses to answer."""
    if isinstance(reply, ResponseError):
        return None
    is_replica = reply[:1] not in ([], [b"master"]) if isinstance(reply, list) else _says_replica(reply)
    return ReadOnlyError("a replica") if is_replica else reply


async def refuse_replica(connection: AbstractConnection) -> None:
    """Raise ReadOnlyError if the server says that it is a replica, or one of CONNECTION_ERRORS.

    Until it is written to, a replica serves what was true before it lost its mastership.
    """
    for question in QUESTIONS:
        try:
            reply = role_reply(await ask(connection, *question))
        except ResponseError:
            continue
        if isinstance(reply, ReadOnlyError):
            raise reply
        return


def _says_replica(info: Reply) -> bool:
    return isinstance(info, bytes) and b"role:slave" in info.split()
