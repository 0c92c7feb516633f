"""Turns errors of PyMongo into the contract's, by class and code and never by their text."""

from __future__ import annotations

from collections.abc import Iterable

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from memsvc.errors import Error, Reason, StorageUnavailable, invalid
from memsvc_drivers.causes import why_unreachable

DUPLICATE_KEY = 11000

_FULL = {14031: "its disk is full", 12501: "its quota is reached"}
_REFUSED = {
    13: "this user may not do that",
    18: "wrong user or password",
    11: "no such user",
    8000: "wrong user or password",
}
_SLOW = {
    50: "it passed the time limit",
    24: "a lock was not to be had in time",
    64: "too few members confirmed the write in time",
    89: "a network timeout among its members",
    202: "a network timeout among its members",
    262: "it passed the time limit",
}
_NO_PRIMARY = {91, 189, 10107, 11600, 11602, 13435, 13436}
_READ_CONCERN = {72, 123, 148}


def failed(error: PyMongoError, server_errors: Iterable[BaseException] = ()) -> Error:
    """Return what the caller is told; `server_errors` are why servers that are looked for do not answer."""
    if isinstance(error, ServerSelectionTimeoutError):
        return StorageUnavailable(f"no server that takes writes was found in time{_why(error, *server_errors)}")
    if isinstance(error, NetworkTimeout):
        return StorageUnavailable("database did not answer in time")
    if isinstance(error, WTimeoutError):
        return StorageUnavailable("too few members of the replica set confirmed the write in time")
    if isinstance(error, OperationFailure):
        return refused(error.code or 0)
    if isinstance(error, ConnectionFailure):
        return StorageUnavailable(f"the connection to the database failed{_why(error)}")
    if isinstance(error, ConfigurationError):
        return invalid("storage_url", "does not suit the server, or its host cannot be resolved")
    return StorageUnavailable("database failed")


def refused(code: int) -> StorageUnavailable:
    """Return what an error code of the server means for the caller."""
    if code in _FULL:
        return StorageUnavailable(f"database cannot write: {_FULL[code]} ({code})", Reason.STORAGE_FULL)
    if code in _REFUSED:
        return StorageUnavailable(f"database refuses: {_REFUSED[code]} ({code})")
    if code in _SLOW:
        return StorageUnavailable(f"database did not answer in time: {_SLOW[code]} ({code})")
    if code in _NO_PRIMARY:
        return StorageUnavailable(f"the replica set has no primary now ({code})")
    if code in _READ_CONCERN:
        return StorageUnavailable(f"the server does not offer what is configured, say the read concern ({code})")
    return StorageUnavailable(f"database failed ({code})")


def _why(*errors: BaseException) -> str:
    why = next(filter(None, map(why_unreachable, errors)), "")
    return f": {why}" if why else ""
