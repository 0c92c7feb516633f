"""Says why a server cannot be reached, in a few words, for the drivers that talk to one."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

_ERRNO = re.compile(r"\[Errno (-?\d+)\]")
_SAID = {
    errno.ECONNREFUSED: "nothing listens at its port",
    errno.ECONNRESET: "the connection was cut",
    errno.EPIPE: "the connection was cut",
    errno.ETIMEDOUT: "it did not answer in time",
    errno.EHOSTUNREACH: "there is no way to its host",
    errno.ENETUNREACH: "there is no way to its host",
    errno.ENOENT: "there is no such socket",
    errno.EACCES: "its socket is not ours to use",
}


def why_unreachable(error: BaseException) -> str:
    """Return what the error, or what led to it, says of the network; empty where it says nothing."""
    for each in _chain(error):
        match each:
            case ssl.SSLCertVerificationError():
                return f"TLS failed, its certificate is not trusted ({each.verify_message})"
            case ssl.SSLError():
                return f"TLS failed ({each.reason})" if each.reason else "TLS failed"
            case socket.gaierror():
                return "its host's name is not known"
            case TimeoutError():
                return "it did not answer in time"
            case OSError(errno=int() as number) if number:
                return _SAID.get(number, os.strerror(number))
            case OSError() if found := _ERRNO.search(str(each)):
                # Several addresses were tried (`localhost` has two): asyncio leaves only a text of their errors.
                return _SAID.get(int(found[1]), os.strerror(int(found[1])))
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
