"""Who calls: from what came with a call to the caller.

A token in the call decides, be it wrong; else the client's certificate does, else the user at the other end of the
socket. Nothing of a call but its head is read before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from memsvc.access.caller import Caller
from memsvc.access.files import WatchedFile
from memsvc.access.tokens import NOBODY, Known, read_known
from memsvc.config import Config
from memsvc.errors import Reason, Unauthenticated

_SCHEME: Final = "bearer "
_LONGEST_HEADER: Final = 16 << 10
_MOST_RECENT: Final = 5_000


class Credentials(Struct, frozen=True):
    """What came with a call."""

    authorization: str = ""
    """The header of that name."""
    certificate_names: Sequence[str] = ()
    """Names in the client's certificate, which TLS has verified."""
    socket_user: int | None = None
    """The user id of the process at the other end of the socket, as the kernel says."""


class Signed(Protocol):
    """Knows callers by what somebody else has signed."""

    def caller(self, token: str) -> Caller | None: ...
    def look_at_once(self) -> None: ...
    @property
    def version(self) -> int: ...


class Gate:
    """Identifies callers; one for all edges of a server."""

    def __init__(self, known: WatchedFile[Known] | None, signed: Signed | None = None) -> None:
        self._known = known
        self._signed = signed
        self._recent: dict[str, Caller] = {}
        """Callers by headers that were good. Looking there tells nobody anything: what is compared is a hash with a key
        of this process, and the header itself only where that is the same."""
        self._recent_version = 0

    def identify(self, credentials: Credentials) -> Caller:
        """Return who calls. Raises Unauthenticated (UNAUTHENTICATED)."""
        version = self.version
        if version != self._recent_version or len(self._recent) > _MOST_RECENT:
            self._recent.clear()
            self._recent_version = version
        caller = self._recent.get(credentials.authorization)
        if caller is not None and (not caller.expire_time or caller.expire_time > time.time()):
            return caller
        caller = self._looked_up(credentials, version)
        if credentials.authorization and self.version == version:
            self._recent[credentials.authorization] = caller
        return caller

    def _looked_up(self, credentials: Credentials, version: int) -> Caller:
        try:
            return self._identified(credentials)
        except Unauthenticated:
            # Who was given a token a moment ago is let in.
            self._look_at_once()
            if self.version == version:
                raise
        return self._identified(credentials)

    def _look_at_once(self) -> None:
        """See what the files say this very moment."""
        if self._known is not None:
            self._known.now(at_once=True)
        if self._signed is not None:
            self._signed.look_at_once()

    def _identified(self, credentials: Credentials) -> Caller:
        known = self._known.now() if self._known is not None else NOBODY
        header = credentials.authorization
        if header:
            caller = self._with_header(known, header)
            if caller is None:
                raise _unknown("the token is not valid")
        else:
            caller = known.with_certificate(credentials.certificate_names)
            if caller is None and credentials.socket_user is not None:
                caller = known.by_socket_user.get(credentials.socket_user)
            if caller is None:
                raise _unknown("a token is needed")
        if caller.expire_time and caller.expire_time <= time.time():
            raise _unknown("the token is not valid")
        return caller

    def _with_header(self, known: Known, header: str) -> Caller | None:
        if header[: len(_SCHEME)].lower() != _SCHEME or len(header) > _LONGEST_HEADER:
            return None
        token = header[len(_SCHEME) :].strip()
        caller = known.with_token(token)
        if caller is None and self._signed is not None:
            caller = self._signed.caller(token)
        return caller

    @property
    def version(self) -> int:
        """What changes whenever a caller that was identified may no longer be: so long nobody is to be asked again."""
        version = 0
        if self._known is not None:
            self._known.now()
            version = self._known.version
        return version if self._signed is None else version + self._signed.version


def build_gate(config: Config) -> Gate | None:
    """Return the gate; None: nobody is asked. Raises InvalidArgument for files that cannot be read."""
    known, signed = None, None
    if config.tokens_file:
        known = WatchedFile("tokens_file", config.tokens_file, read_known, missing=NOBODY)
    if config.jwks_file:
        from memsvc.access.jwts import Jwts

        signed = Jwts(config)
    return None if known is None and signed is None else Gate(known, signed)


def _unknown(why: str) -> Unauthenticated:
    return Unauthenticated(Reason.UNAUTHENTICATED, why)
