"""What can be watched of an extraction, and the live hints of the worker that has it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from memsvc.extraction.engine import Operation
from memsvc.model import Commit, Extraction, ExtractionState
from memsvc.moves import Watch

_HINTS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is durable."""

    extraction: Extraction


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of work."""

    attempt: int
    state: ExtractionState
    reason: str = ""
    output_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """An operation that the engine proposes."""

    attempt: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class Committed:
    """What was learned is committed; revision 0 where there was nothing to learn."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Failed:
    """It ended without effect."""

    state: ExtractionState
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Completed:
    """It ended: nothing follows."""

    extraction: Extraction


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while."""


Event = Accepted | Progress | Proposed | Committed | Failed | Completed | Heartbeat


@dataclass(slots=True)
class Listener:
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
