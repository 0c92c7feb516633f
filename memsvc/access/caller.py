"""Who calls, and what that caller may do."""

from __future__ import annotations

import enum
from contextvars import ContextVar
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from memsvc.access.allowance import UNLIMITED, Allowance
from memsvc.access.patterns import NamePattern, any_matches


class Right(enum.StrEnum):
    """What a caller may be allowed. None contains another."""

    READ = "read"
    """See memories, history, contexts and extractions."""
    WRITE = "write"
    """Change them. Writes answer with what they wrote."""
    ADMIN = "admin"
    """What concerns a namespace as a whole, and what cannot be undone: list users, erase one."""


class Caller(Struct, frozen=True, eq=False):
    """One who was identified."""

    actor: str
    """What commits and the log call this caller; empty: nobody asked who it is."""
    rights: frozenset[Right]
    namespaces: tuple[NamePattern, ...]
    users: tuple[NamePattern, ...] = ()
    """Which users of these; none: all."""
    limits: Allowance = UNLIMITED
    expire_time: float = 0.0
    """When the caller has to identify itself anew, seconds since the epoch; 0: never."""
    key: str = ""
    """What tells callers apart that have limits of their own."""
    only_namespace: str = ""
    """The namespace where there is but one; empty: there may be several. Found by itself."""
    all_namespaces: bool = False
    """Whether these are all that there are. Found by itself."""
    is_limited: bool = False
    """Whether there is any limit. Found by itself."""

    def __post_init__(self) -> None:
        # Every call asks for these.
        if len(self.namespaces) == 1 and self.namespaces[0].is_one_name:
            force_setattr(self, "only_namespace", self.namespaces[0].text)
        force_setattr(self, "all_namespaces", any(each.matches_all for each in self.namespaces))
        force_setattr(self, "is_limited", self.limits != UNLIMITED)

    @property
    def administers_all(self) -> bool:
        """Whether the caller is an admin of all users of all namespaces."""
        return Right.ADMIN in self.rights and not self.users and self.all_namespaces

    def may_see_user(self, user_id: str) -> bool:
        return not self.users or any_matches(self.users, user_id)


ANYBODY: Final = Caller("", frozenset(Right), (NamePattern("*"),))
"""Whoever calls a server that asks nobody who they are."""

_current: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)


def begin_call(caller: Caller) -> None:
    """Say on whose behalf runs what runs in this context from now on."""
    _current.set(caller)


def current_caller() -> Caller:
    """Return on whose behalf this runs; ANYBODY for the server's own work."""
    return _current.get()
