"""Turns errors of Postgres and of its library into the contract's, by SQLSTATE or class and never by their text."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]

from memsvc.errors import Reason, StorageUnavailable
from memsvc_drivers.causes import why_unreachable

PostgresError: type[Exception] = asyncpg.PostgresError
"""What the server says."""

LOST: tuple[type[Exception], ...] = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    OSError,
)
"""What is raised when a connection is of no use any more, or does not come about."""

FAILURES = (PostgresError, *LOST)
"""All that the library raises."""

TERMINATED: tuple[type[Exception], ...] = (AttributeError,)
"""What asyncpg raises besides, of its own parts that are gone, when a connection is ended in the middle of a call."""

_NO_CONNECTION_LEFT = "53300"
_READ_ONLY = "25006"
_FULL = {"53100": "its disk is full", _READ_ONLY: "it is read-only"}
_SAID = {
    "08P01": "it does not take session settings: behind a transaction pooler set transaction_pooler",
    "28000": "it refused the user",
    "28P01": "it refused the password",
    "3D000": "there is no such database",
    "3F000": "there is no such schema",
    "42501": "the user lacks a privilege",
    "42704": "it does not know a parameter in the URL",
    "42P01": "a table is missing",
    "53200": "it is out of memory",
    _NO_CONNECTION_LEFT: "it has no connection left: raise max_connections, or lower pool_size",
    "55P03": "a row stayed locked for too long",
    "57014": "it took too long",
    "57P01": "it is shutting down",
    "57P02": "it crashed",
    "57P03": "it is starting up or shutting down",
}
_PRIVILEGE = "42501"
_OF_POOLER = "08P01"
"""What PgBouncer says of all that goes wrong with itself or its servers."""
_ENDS_SERVER = ("57P", _READ_ONLY, "58")
"""After these nothing good is to be expected of other connections to the same server either."""

_ONE_ITEM = ("21", "22", "23", "40", "54")
"""Classes of errors that one item of a batch may cause: data, constraints, conflicts, limits."""


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE; empty where the server said nothing."""
    return getattr(error, "sqlstate", None) or ""


def concerns_one_item(error: BaseException) -> bool:
    """Whether the members of a batch should be tried one by one."""
    return sqlstate_of(error).startswith(_ONE_ITEM)


def has_no_connection_left(error: BaseException) -> bool:
    """Whether the server has given out all the connections that it gives."""
    return sqlstate_of(error) == _NO_CONNECTION_LEFT


def spoils_server(error: BaseException) -> bool:
    """Whether all connections are better made anew: the server leaves, or is no primary any more."""
    return isinstance(error, LOST) or sqlstate_of(error).startswith(_ENDS_SERVER)


def unavailable(error: BaseException, *, pooled: bool = False) -> StorageUnavailable:
    """Return what the contract raises for this error; `pooled`: of a server that a transaction pooler chose."""
    state = sqlstate_of(error)
    if pooled and state == _READ_ONLY:
        # Mostly a standby, where a failover is under way.
        return StorageUnavailable("the pooler leads to no primary that can be written to")
    if pooled and state == _OF_POOLER:
        return StorageUnavailable(f"the pooler has no connection to the database ({error})")
    if state in _FULL:
        return StorageUnavailable(f"database cannot write: {_FULL[state]}", Reason.STORAGE_FULL)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return StorageUnavailable("no host is a primary that can be written to")
    if isinstance(error, LOST) and state not in _SAID:
        return StorageUnavailable(f"database did not answer: {_why(error)}")
    said = _SAID.get(state)
    if state == _PRIVILEGE:
        # Which one is said nowhere but in the text.
        said = f"{said} ({error})"
    return StorageUnavailable(f"database refused: {said}" if said else f"database failed with SQLSTATE {state}")


def _why(error: BaseException) -> str:
    if type(error) is ConnectionError:
        # asyncpg's own: of a server that answers a request for TLS with no.
        return "it does not speak TLS, which sslmode asks for"
    return why_unreachable(error) or "the connection was lost"
