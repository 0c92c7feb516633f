"""Use cases on sessions: runs go in, history comes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import aclosing
from itertools import count

from msgspec import Struct, field, structs
from msgspec.structs import replace

from memsvc.errors import NotFound, Reason
from memsvc.journal.records import Request
from memsvc.limits import REPLY_BYTES
from memsvc.model import LearningState, Role, Run, Scope, Session, decode
from memsvc.paging import binding, make_token, read_token
from memsvc.purge import purge
from memsvc.redaction import Redactor
from memsvc.sessions.commands import AppendRunCommand, DeleteSessionCommand, RunReceipt, SessionDeleted
from memsvc.sessions.history import History, read_history
from memsvc.sessions.learning import learnings_of
from memsvc.sessions.observing import Stretch
from memsvc.sessions.walking import walk_runs
from memsvc.storage.driver import PageOf, RowKind
from memsvc.users import Users
from memsvc.writing.writer import Writer


class Sessions(Struct):
    """Stores runs and reads them back."""

    users: Users
    writer: Writer
    redactor: Redactor = field(default_factory=Redactor)

    async def append(self, scope: Scope, command: AppendRunCommand) -> RunReceipt:
        """Store a run, without secrets; durable, with its extraction, on return. Raises AlreadyExists (RUN_EXISTS)."""
        messages = await self.redactor.large_messages(command.run.messages, command.size_bytes)
        command = structs.replace(command, run=structs.replace(command.run, messages=tuple(messages)))
        return await self.writer.write(scope, command)

    async def stretch(self, scope: Scope, session_id: str) -> Stretch:
        """Return where an observed conversation stands."""
        state = (await self.users.latest(scope)).state
        session = state.sessions.get(session_id)
        if session is None:
            rows = await self.users.driver.get(scope, RowKind.SESSION, (session_id,))
            session = decode(rows[session_id].body, Session) if session_id in rows else None
        open_ones = (each.extraction_id for each in state.core.open.values() if each.session_id == session_id)
        return Stretch(session.observed_number if session is not None else 0, tuple(open_ones))

    async def delete(
        self,
        scope: Scope,
        session_id: str,
        request: Request | None,
        *,
        forget_learned: bool,
        purge_text: bool,
        allow_missing: bool,
    ) -> SessionDeleted:
        """Delete a session. Raises NotFound (SESSION_NOT_FOUND) unless `allow_missing`."""
        command = DeleteSessionCommand(session_id, forget_learned, purge_text, allow_missing, request)
        result = await self.writer.write(scope, command)
        for part in count(1):
            if not result.more:
                break
            command = replace(command, part=part, runs=result.runs, memories=result.memories)
            result = await self.writer.write(scope, command)
        if purge_text:
            await purge(self.users, self.writer, scope)
        return result

    async def get(self, scope: Scope, session_id: str) -> Session:
        """Return a session. Raises NotFound (SESSION_NOT_FOUND)."""
        rows = await self.users.driver.get(scope, RowKind.SESSION, (session_id,))
        if session_id not in rows:
            raise NotFound(Reason.SESSION_NOT_FOUND, f"no session {session_id}")
        return decode(rows[session_id].body, Session)

    async def list(self, scope: Scope, page_size: int, page_token: str) -> tuple[Sequence[Session], str]:
        """Return a page of sessions, last used first."""
        bound_to = binding("sessions", scope)
        position = read_token(page_token, bound_to, int)
        before = int(position[0]) if position is not None else None
        rows = await self.users.driver.rows(
            PageOf(scope, RowKind.SESSION, before=before, descending=True, limit=page_size + 1)
        )
        token = make_token(bound_to, rows[page_size - 1].position) if len(rows) > page_size else ""
        return [decode(row.body, Session) for row in rows[:page_size]], token

    async def runs(
        self,
        scope: Scope,
        session_id: str,
        page_size: int,
        page_token: str,
        *,
        descending: bool,
        include_replaced: bool,
    ) -> tuple[Sequence[tuple[Run, LearningState]], str]:
        """Return a page of runs with how far learning from them has come; it ends early before it passes 3 MiB."""
        bound_to = binding("runs", scope, session_id, descending, include_replaced)
        position = read_token(page_token, bound_to, int)
        edge = int(position[0]) if position is not None else None
        found: list[Run] = []
        size, more = 0, False
        page = PageOf(
            scope,
            RowKind.RUN,
            group=session_id or None,
            after=None if descending else edge,
            before=edge if descending else None,
            descending=descending,
            limit=page_size + 1,
        )
        async with aclosing(walk_runs(self.users.driver, page)) as walk:
            async for run, row in walk:
                if run.session_id and (include_replaced or not run.replaced):
                    if len(found) == page_size or (found and size + len(row.body) > REPLY_BYTES):
                        more = True
                        break
                    found.append(run)
                    size += len(row.body)
                edge = row.position
        learnings = await learnings_of(self.users, scope, found)
        token = make_token(bound_to, edge) if more and edge is not None else ""
        return list(zip(found, learnings, strict=True)), token

    async def history(
        self,
        scope: Scope,
        session_id: str,
        last_runs: int,
        roles: Collection[Role] = (),
        max_characters: int = 0,
        max_bytes: int = REPLY_BYTES,
    ) -> History:
        """Return the messages of the last runs, as `read_history` does."""
        driver = self.users.driver
        return await read_history(driver, scope, session_id, last_runs, roles, max_characters, max_bytes)
