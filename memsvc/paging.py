"""Page tokens: stateless, and bound to the request that they continue."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from memsvc.errors import InvalidArgument, Reason, invalid

Position = list[int | str]
_encode = msgspec.json.Encoder(order="sorted").encode


class _Token(msgspec.Struct, array_like=True, gc=False):
    binding: str
    position: Position


_parse_token = msgspec.json.Decoder(_Token).decode


def binding(*parts: object) -> str:
    """Return what ties a token to a request: a digest of everything but the page itself."""
    return hashlib.blake2b(_encode(parts), digest_size=8).hexdigest()


def make_token(bound_to: str, *position: int | str) -> str:
    """Return the token for the page after `position`."""
    return base64.urlsafe_b64encode(_encode(_Token(bound_to, list(position)))).decode().rstrip("=")


def read_token(token: str, bound_to: str, *kinds: type, field: str = "page_token") -> Position | None:
    """Return the position in a token; None for an empty one.

    Raises InvalidArgument (TOKEN_MISMATCH) for one that is malformed or of another request.
    """
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        decoded = _parse_token(raw)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _mismatch(field, "is malformed") from None
    if decoded.binding != bound_to:
        raise _mismatch(field, "belongs to another request")
    if len(decoded.position) != len(kinds) or not all(map(_is_whole, decoded.position, kinds)):
        raise _mismatch(field, "is malformed")
    return decoded.position


def _is_whole(value: int | str, kind: type) -> bool:
    """Whether it is of its kind, and a number that databases can hold: tokens come back from anybody."""
    return isinstance(value, kind) and (isinstance(value, str) or abs(value) < 1 << 63)


def _mismatch(field: str, description: str) -> InvalidArgument:
    return invalid(field, description, Reason.TOKEN_MISMATCH)
