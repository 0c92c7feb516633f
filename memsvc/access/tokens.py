"""The file of those who may call: a JSON object a line, each with one way to know them by.

    {"id": "3f9a1c20", "actor": "support-bot", "token_sha256": "9b1e...", "namespaces": ["support"], "rights": ["read"]}
    {"id": "billing", "certificate": "spiffe://example.org/billing", "namespaces": ["billing"], "rights": ["read"]}
    {"id": "pod-7", "socket_user": 1007, "namespaces": ["team-7"], "rights": ["read", "write"], "users": ["cust-*"]}

A line that makes no sense lets nobody in, and no other line suffers from it. The file holds no secret: a token is 256
random bits, of which a hash tells nothing; so no slow hash is needed, and guessing costs the server microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from memsvc.access.allowance import UNLIMITED, Allowance
from memsvc.access.caller import Caller, Right
from memsvc.access.patterns import NamePattern, as_patterns
from memsvc.errors import InvalidArgument, invalid
from memsvc.invisible import hides
from memsvc.limits import ID_BYTES
from memsvc.log import Log

log = Log(__name__)

PREFIX: Final = "memsvc_"
_SECRET_BYTES: Final = 32
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}"
_TOKEN: Final = re.compile(rf"{PREFIX}({_ID})_([0-9a-f]{{{2 * _SECRET_BYTES}}})", re.ASCII)
_NOBODYS: Final = "0" * 64
"""No token has this hash: what the secret of an unknown id is compared to, so that it takes as long."""

Name = Annotated[str, Meta(min_length=1, max_length=ID_BYTES)]


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line: how to know somebody, and what that caller may do."""

    id: Annotated[str, Meta(pattern=f"^{_ID}$")]
    actor: Annotated[str, Meta(max_length=ID_BYTES)] = ""
    """What commits and the log say; empty: the id. Tokens that follow each other may share it."""
    token_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    certificate: Name | None = None
    """A name in the client's certificate (SPIFFE id or another URI, DNS name, address), `*` for anything."""
    socket_user: Annotated[int, Meta(ge=0)] | None = None
    """The user id of the process at the other end of a unix socket."""
    namespaces: Annotated[list[Name], Meta(min_length=1)]
    rights: Annotated[list[Right], Meta(min_length=1)]
    users: list[Name] = field(default_factory=list)
    create_time: datetime | None = None
    expire_time: Annotated[datetime, Meta(tz=True)] | None = None
    limits: Allowance = UNLIMITED

    @property
    def caller(self) -> Caller:
        return Caller(
            actor=self.actor or self.id,
            rights=frozenset(self.rights),
            namespaces=as_patterns(self.namespaces),
            users=as_patterns(self.users),
            limits=self.limits,
            expire_time=self.expire_time.timestamp() if self.expire_time is not None else 0.0,
            key=self.id,
        )


class Known(Struct, frozen=True, eq=False):
    """Everybody in the file."""

    by_token: Mapping[str, tuple[str, Caller]] = {}
    """Hash and caller by the id in the token."""
    by_certificate: Sequence[tuple[NamePattern, Caller]] = ()
    by_socket_user: Mapping[int, Caller] = {}

    def with_token(self, token: str) -> Caller | None:
        """Return whose token it is. Takes as long for a wrong secret as for a right one, and for an unknown id."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        expected, caller = self.by_token.get(found[1], (_NOBODYS, None))
        return caller if hmac.compare_digest(token_hash(token), expected) else None

    def with_certificate(self, names: Sequence[str]) -> Caller | None:
        for pattern, caller in self.by_certificate:
            if any(pattern.matches(name) for name in names):
                return caller
        return None


NOBODY: Final = Known()


def new_token(token_id: str) -> str:
    """Return a token that nobody can guess."""
    return f"{PREFIX}{token_id}_{secrets.token_hex(_SECRET_BYTES)}"


def new_token_id() -> str:
    return secrets.token_hex(4)


def token_hash(token: str) -> str:
    """Return what the file holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_known(content: bytes) -> Known:
    """Return everybody in the file; of lines that make no sense the log says why."""
    by_token: dict[str, tuple[str, Caller]] = {}
    by_certificate: list[tuple[NamePattern, Caller]] = []
    by_socket_user: dict[int, Caller] = {}
    for number, entry in read_lines(content):
        if isinstance(entry, InvalidArgument):
            log.error("token_line_ignored", line=number, because=entry.message)
            continue
        caller = entry.caller
        if entry.token_sha256 is not None:
            by_token[entry.id] = (entry.token_sha256, caller)
        elif entry.certificate is not None:
            by_certificate.append((NamePattern(entry.certificate), caller))
        elif entry.socket_user is not None:
            by_socket_user[entry.socket_user] = caller
    return Known(by_token, by_certificate, by_socket_user)


def read_lines(content: bytes) -> Iterator[tuple[int, Entry | InvalidArgument]]:
    """Yield the lines of a file with their numbers, or why they are ignored; not those that are empty or remarks."""
    seen: set[str] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            entry = read_entry(line)
            if entry.id in seen:
                raise invalid("id", "is that of a line above")
        except InvalidArgument as error:
            yield number, error
        else:
            seen.add(entry.id)
            yield number, entry


def read_entry(line: bytes) -> Entry:
    """Return one line. Raises InvalidArgument that says what is wrong with it."""
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except msgspec.DecodeError as error:
        # Its words name fields and kinds, not values.
        raise invalid("line", str(error)) from error
    check_entry(entry)
    return entry


def check_entry(entry: Entry) -> None:
    """Raise InvalidArgument unless there is one way to know the caller, and all names can be names."""
    ways = (entry.token_sha256, entry.certificate, entry.socket_user)
    if sum(way is not None for way in ways) != 1:
        raise invalid("line", "must have one of token_sha256, certificate and socket_user")
    if entry.limits.model_tokens_a_day or entry.limits.memories:
        raise invalid("limits", "model_tokens_a_day and memories are those of a namespace: see limits_file")
    for name, values in (("actor", [entry.actor]), ("namespaces", entry.namespaces), ("users", entry.users)):
        if any(len(value.encode()) > ID_BYTES or hides(value) for value in values):
            raise invalid(name, f"must be at most {ID_BYTES} bytes of printable characters")
