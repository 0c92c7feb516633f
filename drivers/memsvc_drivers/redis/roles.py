"""Whether a server is a replica. Until it is written to, it serves what was true before it lost its mastership."""

from __future__ import annotations

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, ResponseError

from memsvc_drivers.redis.connections import Command, Reply, ask

QUESTIONS: tuple[Command, ...] = (("ROLE",), ("INFO", "replication"))
"""What is asked. Where a server knows or allows neither, its role is unknown, and only a write tells."""


def role_reply(reply: Reply) -> Reply:
    """Return the reply to one of the questions: of a replica an error, None of a server that refuses to answer."""
    if isinstance(reply, ResponseError):
        return None
    is_replica = reply[:1] not in ([], [b"master"]) if isinstance(reply, list) else _says_replica(reply)
    return ReadOnlyError("a replica") if is_replica else reply


async def refuse_replica(connection: AbstractConnection) -> None:
    """Raise ReadOnlyError if the server says that it is a replica, or one of CONNECTION_ERRORS."""
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
