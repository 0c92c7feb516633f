"""What operators want to be able to look up later: administrative acts, and who was refused what.

    INFO memsvc.access.audit administrative_act actor=ops method=EraseUser namespace=support user=1f0c... outcome=OK
    WARNING memsvc.access.audit denied actor=support-bot method=GetMemory namespace=billing user=... because=...

Never what was said or is remembered. Somebody who guesses tokens must not fill the disk: of many refusals in a second
a few are written, and of the others how many there were.
"""

from __future__ import annotations

import time
from typing import Final

from memsvc.errors import Error
from memsvc.log import Log
from memsvc.model import Scope

log = Log(__name__)

_MOST_A_SECOND: Final = 20


class Audit:
    """Writes to the log; one for all edges of a server."""

    def __init__(self) -> None:
        self._since = 0.0
        self._written = 0
        self._unwritten = 0

    def act(self, actor: str, method: str, scope: Scope, outcome: str) -> None:
        """Say that something administrative was done, or tried; `outcome` is a status."""
        log.info("administrative_act", actor=actor or "anybody", method=method, **_place(scope), outcome=outcome)

    def denied(self, actor: str, method: str, scope: Scope | None, refusal: Error, peer: str) -> None:
        """Say that a call was refused: its caller is not known, or has no right to that."""
        now = time.monotonic()
        if now - self._since >= 1:
            if self._unwritten:
                log.warning("more_were_denied", count=self._unwritten)
            self._since, self._written, self._unwritten = now, 0, 0
        if self._written == _MOST_A_SECOND:
            self._unwritten += 1
            return
        self._written += 1
        place = {} if scope is None else _place(scope)
        log.warning("denied", actor=actor, method=method, **place, because=refusal.message, peer=peer)


def _place(scope: Scope) -> dict[str, object]:
    return {"scope": scope} if scope.user_id else {"namespace": scope.namespace}
