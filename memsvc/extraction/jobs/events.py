"""What can be watched of an extraction, and the live hints of the worker that has it."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from memsvc.extraction.engine import Operation
from memsvc.model import Commit, Extraction, ExtractionState, Refusal
from memsvc.users.moves import Watch

_HINTS_KEPT = 256


class Accepted(Struct, frozen=True):
    """The job is durable."""

    extraction: Extraction


class Progress(Struct, frozen=True):
    """A sign of work."""

    attempt: int
    state: ExtractionState
    reason: str = ""
    output_bytes: int = 0


class Proposed(Struct, frozen=True):
    """An operation that the engine proposes."""

    attempt: int
    operation: Operation


class Committed(Struct, frozen=True):
    """What was learned is committed; revision 0 where there was nothing to learn."""

    commit: Commit


class Refused(Struct, frozen=True):
    """Something that was asked for is not done."""

    refusal: Refusal


class Failed(Struct, frozen=True):
    """It ended without effect."""

    state: ExtractionState
    reason: str
    detail: str


class Retried(Struct, frozen=True):
    """It had ended, and waits again."""


class Completed(Struct, frozen=True):
    """It ended: nothing follows."""

    extraction: Extraction


class Heartbeat(Struct, frozen=True):
    """Nothing happened for a while."""


Event = Accepted | Progress | Proposed | Refused | Committed | Failed | Retried | Completed | Heartbeat


class Listener(Struct):
    """One who watches an extraction: hints wait here; the oldest are dropped when there are too many."""

    watch: Watch
    hints: deque[Progress | Proposed] = field(default_factory=lambda: deque(maxlen=_HINTS_KEPT))


class Hints:
    """Hands hints from the worker to those who watch in the same process."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def publish(self, extraction_id: str, hint: Progress | Proposed) -> None:
        for listener in self._listeners.get(extraction_id, ()):
            listener.hints.append(hint)
            listener.watch.wake()

    def listen(self, extraction_id: str, watch: Watch) -> Listener:
        listener = Listener(watch)
        self._listeners.setdefault(extraction_id, []).append(listener)
        return listener

    def leave(self, extraction_id: str, listener: Listener) -> None:
        listeners = self._listeners[extraction_id]
        listeners.remove(listener)
        if not listeners:
            del self._listeners[extraction_id]
