"""What keeps extractions from being learned, as far as this process has seen: who waits and what failed, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct, field

from memsvc.journal.state import Core, State
from memsvc.model import Extraction, ExtractionState, Scope

_USERS_KEPT: Final = 100_000


class Trouble(Struct, frozen=True):
    """How many extractions are in trouble, and the commonest reason; empty: none is."""

    count: int = 0
    reason: str = ""


class Troubles(Struct):
    """Told of every state that users move to in this process."""

    _waiting: dict[Scope, Mapping[str, int]] = field(default_factory=dict)
    _open: dict[Scope, Mapping[str, Extraction]] = field(default_factory=dict)
    _failed: dict[Scope, Mapping[str, int]] = field(default_factory=dict)

    def moved(self, state: State) -> None:
        """Take note of where a user is."""
        if state.core.open and (state.scope in self._open or len(self._open) < _USERS_KEPT):
            self._open[state.scope] = state.core.open
        else:
            self._open.pop(state.scope, None)
        for known, counts in ((self._waiting, waiting_reasons(state.core)), (self._failed, state.core.failed)):
            if counts and (state.scope in known or len(known) < _USERS_KEPT):
                known[state.scope] = counts
            else:
                known.pop(state.scope, None)

    def waiting(self) -> Trouble:
        """Return what waits for a reason."""
        return commonest(*self._waiting.values())

    def failed(self) -> Trouble:
        """Return what failed and was not retried since."""
        return commonest(*self._failed.values())

    def queue(self) -> Mapping[str, tuple[int, int]]:
        """Return how many extractions have not ended and when the oldest was accepted, by what they wait for.

        "running" waits for nothing, "due" for its turn, or for the end of its quiet period.
        """
        found: dict[str, tuple[int, int]] = {}
        for extractions in self._open.values():
            for each in extractions.values():
                waits_for = "running" if each.state is ExtractionState.RUNNING else each.reason or "due"
                count, oldest = found.get(waits_for, (0, each.create_time))
                found[waits_for] = (count + 1, min(oldest, each.create_time))
        return found

    def waiting_for(self, reasons: Collection[str]) -> list[Scope]:
        """Return the users of whom something waits for one of these reasons."""
        return [scope for scope, counts in self._waiting.items() if any(reason in counts for reason in reasons)]


def waiting_reasons(core: Core) -> Mapping[str, int]:
    """Return how many extractions of a user wait for a reason, by reason."""
    if not core.open:
        return {}
    counts: dict[str, int] = {}
    for each in core.open.values():
        if each.reason and each.state is ExtractionState.WAITING:
            counts[each.reason] = counts.get(each.reason, 0) + 1
    return counts


def commonest(*counts: Mapping[str, int]) -> Trouble:
    """Return the sum of counts by reason, and the reason that most of them have."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    if not total:
        return Trouble()
    return Trouble(total.total(), max(sorted(total), key=total.__getitem__))
