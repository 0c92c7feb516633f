"""Clients that do whatever they like: writes, reads and mistakes, drawn at random from a seed."""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

from tests.same_calls.drawing import Action, Drawing
from tests.same_calls.reading import Reading
from tests.same_calls.server import JSON, METHODS, Call
from tests.same_calls.world import World
from tests.same_calls.writing import Writing

_MISTAKES = 10
_MISTAKEN = ("create", "update", "delete", "batch", "clear", "append_run", "get", "list", "search", "context", "runs")
_TIMES = ("_time", "ttl", "staleness", "valid_at", "valid_from", "valid_to")
"""What these hold cannot even be written down wrongly."""
_WRONG: tuple[Any, ...] = ("", "x" * 300, "a\nb", "\u202e", "no such thing", "«»")


class Clients:
    """Draws one call after the other; what was answered decides what can be asked next."""

    def __init__(self, world: World, random: Random) -> None:
        self._draw = Drawing(world, random)
        self._writing, self._reading = Writing(self._draw), Reading(self._draw)

    def calls(self) -> Generator[Call, JSON, None]:
        """Yield calls without end, and be sent the answer to each."""
        weights: dict[Any, float] = {**self._writing.weights, **self._reading.weights, self._mistake: _MISTAKES}
        while True:
            (action,) = self._draw.random.choices(list(weights), list(weights.values()))
            steps: Action = action()
            call = next(steps, None)
            while call is not None:
                answer = yield call
                self._note(call, answer)
                try:
                    call = steps.send(answer)
                except StopIteration:
                    call = None

    def _note(self, call: Call, answer: JSON) -> None:
        self._writing.note(call)
        if user_id := call.request.get("scope", {}).get("user_id"):
            self._draw.world.seen(user_id).learn(answer)

    def _mistake(self) -> Action:
        """Spoil the first call of something else: one of its texts or numbers is what it must not be."""
        name = self._draw.random.choice(_MISTAKEN)
        drawn = getattr(self._writing, name, None) or getattr(self._reading, name)
        call = next(drawn())
        fields = METHODS[call.method].input_type.fields_by_name
        places = [(call.request, name) for name in call.request if not fields[name].message_type]
        places += [(part, name) for part in call.request.values() if isinstance(part, dict) for name in part]
        part, name = self._draw.random.choice([place for place in places if not place[1].endswith(_TIMES)])
        value = part[name]
        if isinstance(value, str):
            part[name] = self._draw.random.choice(_WRONG)
        elif isinstance(value, int) and not isinstance(value, bool):
            part[name] = self._draw.random.choice((-1, 99))
        yield call
