"""What a gRPC call says of its caller."""

from __future__ import annotations

from typing import Final

from memsvc.access.gate import Credentials
from memsvc.rpc.authorization import CredentialsOf
from memsvc.rpc.calling import Context, current_head
from memsvc.rpc.relaying import SocketUsers

_HEADER: Final = "authorization"
_URIS: Final = "peer_uri"
_OTHER_NAMES: Final = ("peer_dns", "peer_ip", "peer_email")


def credentials_by(users: SocketUsers | None = None, *, certificates: bool = False) -> CredentialsOf:
    """Return what reads off a call who makes it.

    `users`: those at the other ends of sockets; `certificates`: whether clients have any. What is not there is not
    asked for, as it would cost each call microseconds.
    """

    def credentials_of(context: Context) -> Credentials:
        return Credentials(
            _authorization(),
            _certificate_names(context) if certificates else (),
            None if users is None else users.user_of(context.peer()),
        )

    return credentials_of


def _authorization() -> str:
    """Return the call's token. Of several tokens none counts."""
    header = ""
    for key, value in current_head():
        if key == _HEADER:
            header = " ".join((header, str(value))) if header else str(value)
    return header


def _certificate_names(context: Context) -> tuple[str, ...]:
    """Return its alternative names; TLS has verified the certificate before the call could begin.

    A name of another kind that looks like a URI is none: who may sign names of hosts may not make SPIFFE ids.
    """
    said = context.auth_context()
    names = [name.decode(errors="replace") for kind in _OTHER_NAMES for name in said.get(kind, ())]
    uris = [uri.decode(errors="replace") for uri in said.get(_URIS, ())]
    return tuple(uris + [name for name in names if "://" not in name])
