"""A file of tokens, and clients that have them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from memsvc.access.allowance import UNLIMITED, Allowance
from memsvc.access.caller import Right
from memsvc.access.token_file import TokenFile
from memsvc.access.tokens import Entry, new_token, new_token_id, token_hash

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

    def metadata(self, *rights: str, **described: object) -> Metadata:
        """Return what a client sends that has a new token with these rights."""
        return bearer(self.token(rights or ("read", "write", "admin"), **described))  # type: ignore[arg-type]


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def token_id(token: str) -> str:
    return token.split("_")[1]
