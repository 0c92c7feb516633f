"""Whose memory a request is about, and what it may do: said by flags (stdio), or by the token that it brings (HTTP)."""

from __future__ import annotations

from collections.abc import Callable

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from msgspec import Struct, convert, to_builtins

from memsvc.access.caller import Caller, Right
from memsvc.access.files import WatchedFile
from memsvc.access.patterns import any_matches
from memsvc.access.rights import DEFAULT_NAMESPACE
from memsvc.access.tokens import NOBODY, Known, read_known
from memsvc.log import Log

log = Log(__name__)

Context = ServerRequestContext


class Whose(Struct, frozen=True):
    """One user, and whether the memory may be changed."""

    namespace: str
    user_id: str
    may_write: bool = True
    caller: str = ""
    """Who the token belongs to."""
    calls_per_second: float = 0.0
    """How many this caller may make; 0: as many as it likes."""


WhoseOf = Callable[[Context], Whose]
"""Says whose memory a request is about."""


def fixed(whose: Whose) -> WhoseOf:
    """Return what says the same for every request."""
    return lambda _: whose


def of_token(context: Context) -> Whose:
    """Return what the token of the request says."""
    user = context.request.user if context.request is not None else None
    # Requests without a token that is known do not come so far.
    assert isinstance(user, AuthenticatedUser)
    claims = user.access_token.claims or {}
    return convert(claims, Whose)


class Tokens:
    """Knows tokens by memsvc's own file of them (`memsvc token create`), read again when it changes.

    A token has to name one user of one namespace, unless flags do; flags name no other than the token may see.
    """

    def __init__(self, path: str, *, namespace: str = "", user_id: str = "", read_only: bool = False) -> None:
        """Raise InvalidArgument where the file cannot be read."""
        self._known: WatchedFile[Known] = WatchedFile("tokens_file", path, read_known, NOBODY)
        self._namespace = namespace
        self._user_id = user_id
        self._read_only = read_only

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token says; None: nobody comes in by it."""
        caller = self._known.now().with_token(token)
        if caller is None:
            return None
        whose = self._whose(caller)
        if whose is None:
            log.warning("token_names_no_single_user", caller=caller.key)
            return None
        return AccessToken(
            token=token,
            client_id=caller.key,
            # A session belongs to whom began it: to this user, whoever brings the token.
            subject=f"{whose.namespace}/{whose.user_id}",
            scopes=sorted(caller.rights),
            expires_at=int(caller.expire_time) or None,
            claims=to_builtins(whose),
        )

    def _whose(self, caller: Caller) -> Whose | None:
        if Right.READ not in caller.rights:
            return None
        namespace = self._namespace or caller.only_namespace or DEFAULT_NAMESPACE
        only_user = caller.users[0].text if len(caller.users) == 1 and caller.users[0].is_one_name else ""
        user_id = self._user_id or only_user
        if not user_id or not any_matches(caller.namespaces, namespace) or not caller.may_see_user(user_id):
            return None
        may_write = Right.WRITE in caller.rights and not self._read_only
        return Whose(namespace, user_id, may_write, caller.key, caller.limits.calls_per_second)
