"""Invocations go into memory once each: ADK hands over whole sessions, again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from google.adk.events import Event

from memsvc_adk.messages import runs_of
from memsvc_client.turn import Turn

MAX_SESSIONS = 10_000
"""How many are remembered; of others memsvc itself finds what it has."""


class StoredRuns:
    """What of which session is stored."""

    def __init__(self) -> None:
        self._last_event_ids: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def store(self, turn: Turn, events: Sequence[Event]) -> None:
        """Store what is new among the events of a session, an invocation a run; stop where memory is down."""
        session = turn.user.user_id, turn.session_id
        for run_id, messages in runs_of(_after(events, self._last_event_ids.get(session))):
            if not await turn.aappend_once(messages, run_id) and turn.failure is not None:
                return
            self._last_event_ids[session] = run_id
            self._last_event_ids.move_to_end(session)
        while len(self._last_event_ids) > MAX_SESSIONS:
            self._last_event_ids.popitem(last=False)


def _after(events: Sequence[Event], event_id: str | None) -> Sequence[Event]:
    """Return the events behind one; all where it is not among them."""
    places = [place for place, event in enumerate(events) if event.id == event_id]
    return events[places[-1] + 1 :] if places else events
