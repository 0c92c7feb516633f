"""Turns errors of Redis and of redis-py into the contract's, by their class or code and never by their text."""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from memsvc.errors import Reason, StorageUnavailable
from memsvc_drivers.causes import why_unreachable

CONNECTION_ERRORS = (RedisConnectionError, RedisTimeoutError, OSError, EOFError)
"""What says that a connection is of no use any more. `TimeoutError` and `asyncio.TimeoutError` are OSErrors."""


class Lost(Exception):
    """A connection ended before all replies were there. What was sent may have been carried out."""


class Unreachable(Exception):
    """No connection was to be had in time; nothing was sent. The cause says why."""


class Rerouted(Exception):
    """The server is no longer the one to ask; nothing was sent."""


class NoMaster(Exception):
    """The Sentinels know no master by the name given."""


class Switched(Exception):
    """The Sentinels made another server the master."""


class TooFewReplicas(Exception):
    """Not as many replicas as wanted had the append in time."""


def code_of(error: ResponseError) -> str:
    """Return the code that the server's error begins with; redis-py cuts those that have a class of their own."""
    known: str | None = getattr(error, "status_code", None)
    if known:
        return known
    word = str(error).partition(" ")[0]
    return word if word.isupper() else ""


def is_redirect(error: BaseException) -> bool:
    """Whether another node is to be asked, now or soon; nothing was done."""
    return isinstance(error, AskError | MovedError | TryAgainError | ClusterDownError)


def is_deposed(error: BaseException) -> bool:
    """Whether the server does not serve as a master, not now or not yet; nothing was done."""
    return isinstance(error, ReadOnlyError | BusyLoadingError)


_CANNOT_WRITE = {
    "OOM": "its memory is full (OOM): raise maxmemory",
    "MISCONF": "it fails to write its files (MISCONF): is its disk full?",
    "NOREPLICAS": "it has too few replicas (NOREPLICAS)",
    "READONLY": "it is a replica (READONLY)",
}
_FULL = ("OOM", "MISCONF")


def unavailable(error: BaseException) -> StorageUnavailable:
    """Return what the caller is told."""
    found = StorageUnavailable(_message(error), _reason(error))
    found.__cause__ = error
    return found


def _reason(error: BaseException) -> Reason:
    full = isinstance(error, ResponseError) and (isinstance(error, OutOfMemoryError) or code_of(error) in _FULL)
    return Reason.STORAGE_FULL if full else Reason.STORAGE_UNAVAILABLE


def _message(error: BaseException) -> str:
    match error:
        case Unreachable() | Lost() if error.__cause__ is not None:
            return _message(error.__cause__)
        case NoMaster():
            return "the Sentinels know no master by the name in the URL"
        case Switched():
            return "database has another master now"
        case TooFewReplicas():
            return "too few replicas had the write in time"
        case OutOfMemoryError():
            return f"database cannot write: {_CANNOT_WRITE['OOM']}"
        case ReadOnlyError():
            return f"database cannot write: {_CANNOT_WRITE['READONLY']}"
        case NoPermissionError():
            # Which one is said nowhere but in the text.
            return f"database does not allow the user what memsvc needs (NOPERM: {error})"
        case AuthenticationError():
            return "database refuses the user or the password"
        case BusyLoadingError():
            return "database is loading its data"
        case ClusterDownError() | TryAgainError() | AskError():
            return "the cluster does not serve this user now"
        case ResponseError():
            code = code_of(error)
            if code in _CANNOT_WRITE:
                return f"database cannot write: {_CANNOT_WRITE[code]}"
            return f"database failed ({code or type(error).__name__})"
        case RedisTimeoutError() | TimeoutError():
            return "database did not answer in time"
        case RedisConnectionError() | OSError() | EOFError():
            why = why_unreachable(error)
            return f"database cannot be reached: {why}" if why else "database cannot be reached"
        case RedisError():
            return f"database failed ({type(error).__name__})"
        case _:
            return "database did not answer"
