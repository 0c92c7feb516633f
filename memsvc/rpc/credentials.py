"""What a gRPC call says of its caller."""

from __future__ import annotations

from typing import Final

from memsvc.access.gate import Credentials
from memsvc.rpc.calling import Context

_HEADER: Final = "authorization"
_NAMES: Final = "x509_subject_alternative_name"


def credentials_of(context: Context) -> Credentials:
    """Return the call's token, and the names in its client's certificate. Of several tokens none counts."""
    given = [value for key, value in context.invocation_metadata() or () if key == _HEADER]
    header = given[0] if len(given) == 1 else " ".join(map(str, given))
    return Credentials(str(header), _certificate_names(context))


def _certificate_names(context: Context) -> tuple[str, ...]:
    """Return them; TLS has verified the certificate before the call could begin."""
    names = context.auth_context().get(_NAMES, ())
    return tuple(name.decode(errors="replace") for name in names)
