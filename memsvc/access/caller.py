"""Who calls, and what that caller may do."""

from __future__ import annotations

import enum
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from memsvc.access.allowance import UNLIMITED, Allowance
from memsvc.access.patterns import Pattern, any_matches


class Right(enum.StrEnum):
    """What a caller may be allowed. None contains another."""

    READ = "read"
    """See memories, history, contexts and extractions."""
    WRITE = "write"
    """Change them. Writes answer with what they wrote."""
    ADMIN = "admin"
    """What concerns a namespace as a whole, and what cannot be undone: list users, erase one."""


class Caller(Struct, frozen=True):
    """One who was identified."""

    actor: str
    """What commits and the log call this caller; empty: nobody asked who it is."""
    rights: frozenset[Right]
    namespaces: tuple[Pattern, ...]
    users: tuple[Pattern, ...] = ()
    """Which users of these; none: all."""
    limits: Allowance = UNLIMITED
    expire_time: float = 0.0
    """When the caller has to identify itself anew, seconds since the epoch; 0: never."""
    key: str = ""
    """What tells callers apart that have limits of their own."""

    @property
    def only_namespace(self) -> str:
        """The namespace where there is but one; empty: there may be several."""
        if len(self.namespaces) == 1 and self.namespaces[0].is_one_name:
            return self.namespaces[0].text
        return ""

    def may_see_user(self, user_id: str) -> bool:
        return not self.users or any_matches(self.users, user_id)


ANYBODY: Final = Caller("", frozenset(Right), (Pattern("*"),))
"""Whoever calls a server that asks nobody who they are."""

_current: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)


def begin_call(caller: Caller) -> None:
    """Say on whose behalf runs what runs in this context from now on."""
    _current.set(caller)


def current_caller() -> Caller:
    """Return on whose behalf this runs; ANYBODY for the server's own work."""
    return _current.get()
