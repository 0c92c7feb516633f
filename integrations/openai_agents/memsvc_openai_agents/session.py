"""A conversation that is kept in memsvc, and learned from, turn by turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agents.items import TResponseInputItem
from agents.memory import SessionSettings

from memsvc_client import AsyncMemoryClient, MemoryServiceError, Run
from memsvc_client.turn import AnyMemoryClient, Turn
from memsvc_openai_agents.items import REMOVED, has_open_calls, is_answer, items_of, message_of, text_of


class MemsvcSession:
    """A Session of the Agents SDK: its items come back as they were, but for secrets, which no server of memory keeps.

    The items of a turn are held until its answer is there, and stored as one run; `flush` stores them before. So does a
    call without its output: somebody is asked to approve it, and the run may go on in another process. Given as
    `context=` too, it tells `memsvc_instructions` and the tools of memory whose memory they are about. `mode` overrules
    what is configured. A MemoryClient is called in threads, an AsyncMemoryClient not.
    """

    def __init__(
        self,
        client: AnyMemoryClient,
        user_id: str | None,
        session_id: str,
        *,
        mode: str | None = None,
        agent_id: str = "",
        session_settings: SessionSettings | None = None,
        **context: Any,
    ) -> None:
        self.session_id = session_id
        self.session_settings = session_settings
        self._new_turn: Callable[[], Turn] = lambda: Turn(client, user_id, session_id, agent_id=agent_id, mode=mode)
        self._is_async = isinstance(client, AsyncMemoryClient)
        self._context = context
        self._waiting: list[Mapping[str, Any]] = []
        self._text: str | None = None
        self.turn = self._new_turn()
        """The turn that is under way."""

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items of the conversation, or the last of them; none where memory is down."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        await self.flush()
        if limit is not None and limit <= 0:
            return []
        items: list[Any] = []
        try:
            for run in await self._runs(limit):
                items = [*items_of(run.messages), *items]
        except MemoryServiceError as failure:
            self.turn.missed(failure)
        return items if limit is None else items[-limit:]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Take the items of a turn; with the answer they are stored, or where it stops at a call."""
        self._waiting += [dict(item) for item in items]  # type: ignore[call-overload]
        if self._waiting and (is_answer(self._waiting[-1]) or has_open_calls(self._waiting)):
            await self.flush()

    async def pop_item(self) -> TResponseInputItem | None:
        """Take away the last item, and return it. Raises MemoryServiceError where it is there still."""
        if self._waiting:
            return self._waiting.pop()  # type: ignore[return-value]
        for run in await self._runs(None, last=True):
            items: list[Any] = list(items_of(run.messages))
            if items:
                left = [message_of(item) for item in items[:-1]] or [REMOVED]
                learning = {"learning_mode": None if items[:-1] else "off", "skip_stored": False}
                if await self.turn.aappend(left, replaces_run_id=run.run_id, **learning) is None:
                    raise self.turn.failure or MemoryServiceError("the item is not taken away")
                return items[-1]  # type: ignore[no-any-return]
        return None

    async def clear_session(self) -> None:
        """Delete the conversation; what was learned from it stays."""
        self._waiting = []
        user = self.turn.user
        if self._is_async:
            await user.delete_session(self.session_id, allow_missing=True)
        else:
            await asyncio.to_thread(user.delete_session, self.session_id, allow_missing=True)

    async def flush(self) -> None:
        """Store what waits; the next turn begins."""
        waiting, self._waiting = self._waiting, []
        turn, self.turn, self._text = self.turn, self._new_turn(), None
        if waiting:
            await turn.aappend([message_of(item) for item in waiting], skip_stored=False)

    async def context(self, said: Sequence[Mapping[str, Any]]) -> str:
        """Return what is known of the user, asked for once a turn."""
        if self._text is None:
            self._text = await self.turn.acontext(text_of(said or self._waiting), **self._context)
        return self._text

    async def _runs(self, limit: int | None, *, last: bool = False) -> list[Run]:
        """Return runs, newest first: all, as many as hold `limit` items, or the last that holds one."""
        wanted = 1 if last else limit
        runs: list[Run] = []
        listed: Any = self.turn.user.runs(self.session_id, descending=True)
        if not self._is_async:
            return await asyncio.to_thread(_taken, listed, wanted)
        async for run in listed:
            runs.append(run)
            if _holds(runs, wanted):
                break
        return runs


def _taken(listed: Iterable[Run], wanted: int | None) -> list[Run]:
    runs: list[Run] = []
    for run in listed:
        runs.append(run)
        if _holds(runs, wanted):
            break
    return runs


def _holds(runs: Sequence[Run], wanted: int | None) -> bool:
    return wanted is not None and sum(len(list(items_of(run.messages))) for run in runs) >= wanted
