"""A file of tokens, and clients that have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from memsvc.access.allowance import UNLIMITED, Allowance
from memsvc.access.caller import Right
from memsvc.access.token_file import TokenFile
from memsvc.access.tokens import Entry, new_token, new_token_id, token_hash
from memsvc.model import Scope

Metadata = tuple[tuple[str, str], ...]


class Callers:
    """Makes tokens in a file, which exists from the beginning."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokens"
        self.path.touch()
        self.file = TokenFile(self.path)

    def token(
        self,
        rights: Sequence[str] = ("read", "write", "admin"),
        namespaces: Sequence[str] = ("*",),
        users: Sequence[str] = (),
        *,
        entry_id: str = "",
        actor: str = "",
        expire_time: datetime | None = None,
        limits: Allowance = UNLIMITED,
    ) -> str:
        entry_id = entry_id or new_token_id()
        token = new_token(entry_id)
        self.file.add(
            Entry(
                id=entry_id,
                actor=actor,
                token_sha256=token_hash(token),
                namespaces=list(namespaces),
                rights=[Right(right) for right in rights],
                users=list(users),
                expire_time=expire_time,
                limits=limits,
            )
        )
        return token

    def bound_to(self, scopes: Iterable[Scope]) -> dict[Scope, Metadata]:
        """Return what clients send that may do everything to one user each. Written at once, for many."""
        lines, bound = [], {}
        for number, scope in enumerate(dict.fromkeys(scopes)):
            token = new_token(f"u{number}")
            entry = Entry(
                id=f"u{number}",
                token_sha256=token_hash(token),
                namespaces=[scope.namespace],
                rights=list(Right),
                users=[scope.user_id],
            )
            lines.append(msgspec.json.encode(entry) + b"\n")
            bound[scope] = bearer(token)
        self.path.write_bytes(b"".join(lines))
        return bound

    def metadata(self, *rights: str, **described: object) -> Metadata:
        """Return what a client sends that has a new token with these rights."""
        return bearer(self.token(rights or ("read", "write", "admin"), **described))  # type: ignore[arg-type]


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def token_id(token: str) -> str:
    return token.split("_")[1]
