"""Tells gRPC which user is at the other end of a unix socket.

gRPC takes connections itself and never says who made them: of a client on a socket it knows nothing but the name that
the client's own end has, which is none. So a relay takes the connection, asks the kernel who is there (SO_PEERCRED),
and goes on to gRPC, at a socket in a folder that only this server may enter, from an end with a name of its own:

    agent, user 1007  --  /run/memsvc.sock, relay  --  "\\0memsvc-3f9a..."  --  /tmp/memsvc-relay-x/s, gRPC

Processes that serve one socket together need it too: gRPC takes no socket that somebody else has bound.

The names are 128 random bits, and count only while they are in use: the kernel gives each to one socket at a time, so
that whoever reads one in /proc/net/unix cannot have it. Bytes pass as they are; each call costs a hop more.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from memsvc.log import Log

log = Log(__name__)

_PEER: Final = struct.Struct("3i")
_PREFIX: Final = "unix-abstract:"
_FOLDER_PREFIX: Final = "memsvc-relay-"
_YOUNG_SECONDS: Final = 60.0
_ACCEPT_AGAIN_SECONDS: Final = 1.0


class SocketUsers:
    """Which users are at the ends of which connections."""

    def __init__(self) -> None:
        self._users: dict[str, int] = {}

    def user_of(self, peer: str) -> int | None:
        """Return the user id at the other end of a connection, as gRPC names it; None: nobody knows."""
        return self._users.get(peer.removeprefix(_PREFIX)) if peer.startswith(_PREFIX) else None

    def add(self, name: str, user: int) -> None:
        self._users[name] = user

    def discard(self, name: str) -> None:
        self._users.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def enter(self, transport: Any) -> str:
        """Ask who is at the other end of a connection of one's own, and return how it is called until it `leave`s."""
        name = new_name()
        self.add(name, user_at(transport))
        return f"{_PREFIX}{name}"

    def leave(self, peer: str) -> None:
        self.discard(peer.removeprefix(_PREFIX))


class Relay:
    """Takes the connections of one socket and passes them on."""

    def __init__(self, users: SocketUsers, beside: Path, listening: socket.socket | None = None) -> None:
        """`beside`: where its own socket is, or will be. `listening`: what to accept from; None: it binds one there."""
        self._users = users
        self._listening = listening
        self._folder, self._lock = _own_folder(beside)
        self.inner = self._folder / "s"
        """Where gRPC is to listen."""
        self._server: asyncio.Server | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: set[_Client] = set()

    async def start(self, path: Path, mode: int) -> None:
        """Take connections at `path`."""
        loop = asyncio.get_running_loop()
        if self._listening is not None:
            self._accepting = loop.create_task(self._accept_in_turn(self._listening))
            return
        # Nobody else may connect between binding and chmod either.
        mask = os.umask(0o777 & ~mode)
        try:
            self._server = await loop.create_unix_server(lambda: _Client(self), str(path))
        finally:
            os.umask(mask)
        os.chmod(path, mode)

    def stop(self) -> None:
        """Take no more connections; those that stand end when gRPC ends them."""
        if self._server is not None:
            self._server.close()
        if self._accepting is not None and self._listening is not None:
            self._accepting.cancel()
            self._listening.close()

    def close(self) -> None:
        """End all."""
        self.stop()
        for client in list(self._clients):
            client.abort()
        import shutil

        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _accept_in_turn(self, listening: socket.socket) -> None:
        """Accept one connection after the other: a server of asyncio would take all that wait, its siblings none."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
                try:
                    await loop.connect_accepted_socket(lambda: _Client(self), connection)
                except BaseException:
                    connection.close()
                    raise
            except OSError as error:
                # No descriptor is free, say: as asyncio's own servers do, it tries again a little later.
                log.warning("accept_failed", because=os.strerror(error.errno or 0))
                await asyncio.sleep(_ACCEPT_AGAIN_SECONDS)

    async def connected(self, client: _Client, user: int) -> None:
        """Connect a client to gRPC."""
        self._clients.add(client)
        loop = asyncio.get_running_loop()
        client.name = new_name()
        own = socket.socket(socket.AF_UNIX)
        try:
            own.setblocking(False)
            own.bind(f"\0{client.name}")
            self._users.add(client.name, user)
            await loop.sock_connect(own, str(self.inner))
            await loop.create_unix_connection(lambda: client.other, sock=own)
        except OSError as error:
            log.warning("relay_failed", because=os.strerror(error.errno or 0))
            own.close()
            client.abort()

    def ended(self, client: _Client) -> None:
        self._clients.discard(client)
        self._users.discard(client.name)


class _End(asyncio.Protocol):
    """One end of a connection; what it gets goes to the other one."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.other: Any = None

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other.transport is not None:
            self.other.transport.close()


class _Server(_End):
    """The end towards gRPC."""

    def __init__(self, client: _Client) -> None:
        super().__init__()
        self.other = client

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.other.transport.is_closing():
            transport.abort()
        else:
            transport.write(self.other.early)
            self.other.early = b""
            self.other.transport.resume_reading()


class _Client(_End):
    """The end towards the client."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self.other = _Server(self)
        self.name = ""
        self.early = b""
        """What came before gRPC was there: uvloop begins to read after `connection_made`, paused or not."""
        self._relay = relay
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.pause_reading()
        self._connecting = asyncio.create_task(self._relay.connected(self, user_at(transport)))

    def data_received(self, data: bytes) -> None:
        if self.other.transport is not None:
            super().data_received(data)
            return
        self.early += data
        self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._relay.ended(self)

    def abort(self) -> None:
        self.transport.abort()


def _own_folder(beside: Path) -> tuple[Path, int | None]:
    """Make a folder that only this server may enter, and return it with a lock that ends with this process.

    It is beside the socket where only that can be written, as in a pod. What killed servers left there is removed.
    """
    import tempfile

    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    except FileNotFoundError:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=beside.parent))
    lock = _locked(folder)
    _remove_abandoned(folder.parent)
    return folder, lock


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user's servers that nobody locks; the youngest may not be locked yet, and stay."""
    import shutil

    for folder in parent.glob(f"{_FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG_SECONDS:
                continue
            lock = _locked(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """Return a descriptor that locks a folder until it is closed; None where that cannot be."""
    try:
        descriptor = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def new_name() -> str:
    """Return a name for an end that nobody guesses."""
    return f"memsvc-{secrets.token_hex(16)}"


def user_at(transport: Any) -> int:
    """Return the id of the user at the other end of a unix socket, as the kernel says it."""
    peer = transport.get_extra_info("socket")
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(user)
