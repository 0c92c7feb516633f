"""What an agent's own model does to the memory of its user: listing the tools, and carrying out their calls."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.configuration import NOTHING, GivenSettings
from memsvc.errors import Error, FailedPrecondition, NotFound, Reason, invalid
from memsvc.extraction.schemas import schemas_under
from memsvc.journal.records import Request, request_digest
from memsvc.limits import check_memory
from memsvc.model import TOOL_ENGINE, Memory, Origin, Scope, ToolName
from memsvc.redaction import Redactor
from memsvc.tools.answers import Answer, failed, told
from memsvc.tools.arguments import Arguments, parse
from memsvc.tools.catalog import Tool, tools_for
from memsvc.tools.changing import Fact, ForgetCommand, SaveCommand, ToolCommand, UpdateCommand, Written
from memsvc.tools.choosing import read_choice
from memsvc.tools.permissions import Permissions
from memsvc.tools.reading import MemoryTools
from memsvc.tools.tasks import Tasks
from memsvc.users import Users
from memsvc.writing.writer import Writer

MENDABLE: Final = frozenset(
    (
        Reason.INVALID_FIELD,
        Reason.MEMORY_NOT_FOUND,
        Reason.AMBIGUOUS,
        Reason.KEY_TAKEN,
        Reason.KEY_CONFLICT,
        Reason.OPERATION_FORBIDDEN,
        Reason.SCHEMA_VIOLATION,
        Reason.LAYER_NOT_LEARNED,
        Reason.QUOTA_EXCEEDED,
        Reason.NOT_SUPPORTED,
        Reason.REQUEST_TOO_LARGE,
    )
)
"""What a model can do something about: it is told, and the call is no failure of the service."""

_METHOD: Final = "CallTool"
_NAMESPACE: Final = uuid.UUID("6d656d73-7663-5f74-8f6f-6c63616c6c73")
_NEAREST: Final = 20


class Call(Struct, frozen=True, kw_only=True):
    """One call, as the agent hands it on."""

    name: str
    arguments_json: str = ""
    call_id: str = ""
    agent_id: str = ""
    team_id: str = ""
    session_id: str = ""
    run_id: str = ""
    shared_user_ids: Sequence[str] = ()
    wait_seconds: float = 60.0
    overrides: GivenSettings = NOTHING
    """The settings that the call brings."""

    @property
    def origin(self) -> Origin:
        """What is written comes from."""
        return Origin(
            agent_id=self.agent_id,
            team_id=self.team_id,
            session_id=self.session_id,
            run_id=self.run_id,
            engine=TOOL_ENGINE,
        )

    def request(self, arguments: Arguments) -> Request | None:
        """Return what makes a write safe to repeat; None: the model has no id for the call.

        Some models number their calls anew in each conversation: so the id tells calls apart only together with what
        is called, and where.
        """
        if not self.call_id:
            return None
        content = msgspec.json.encode([self.session_id, self.call_id, self.name, arguments.canonical])
        return Request(str(uuid.uuid5(_NAMESPACE, content.decode())), _METHOD, request_digest(content))


class Tools(Struct):
    """The tools of a process."""

    users: Users
    writer: Writer
    reading: MemoryTools
    tasks: Tasks
    quotas: Quotas
    redactor: Redactor

    def list(self, permissions: Permissions) -> Sequence[Tool]:
        """Return the tools that are allowed."""
        return tools_for(permissions, schemas_under(permissions.settings))

    async def call(self, scope: Scope, call: Call, permissions: Permissions) -> Answer:
        """Carry out a call. What the model can mend is an answer, everything else raises Error."""
        try:
            tool = self._tool(call.name, permissions)
            given = parse(tool, call.arguments_json)
            return await self._carry_out(scope, call, given, permissions)
        except Error as error:
            if error.reason not in MENDABLE:
                raise
            revision = (await self.users.latest(scope)).revision
            return failed(error.reason, error.message, revision=revision)

    def _tool(self, name: str, permissions: Permissions) -> Tool:
        allowed = {tool.name.value: tool for tool in self.list(permissions)}
        if name in allowed:
            return allowed[name]
        named = ", ".join(allowed) or "none"
        if name in set(ToolName):
            message = f"{name} is not allowed here; allowed are: {named}"
            raise FailedPrecondition(Reason.OPERATION_FORBIDDEN, message)
        raise NotFound(Reason.NOT_SUPPORTED, f"there is no such tool; there are: {named}")

    async def _carry_out(self, scope: Scope, call: Call, given: Arguments, permissions: Permissions) -> Answer:
        match ToolName(call.name):
            case ToolName.SEARCH_MEMORIES:
                return await self.reading.search(scope, given, call.shared_user_ids, permissions)
            case ToolName.GET_MEMORIES:
                return await self.reading.get(scope, given, call.shared_user_ids, permissions)
            case ToolName.READ_CHAT_HISTORY:
                return await self.reading.read_chat_history(scope, given, call.session_id)
            case ToolName.SEARCH_HISTORY:
                return await self.reading.search_history(scope, given)
            case ToolName.UPDATE_USER_MEMORY:
                request = call.request(given)
                return await self.tasks.carry_out(
                    scope, given.text("task"), call.origin, request, call.wait_seconds, call.overrides
                )
            case ToolName.FORGET:
                return await self._forget(scope, call, given, permissions)
            case ToolName.SAVE_MEMORY | ToolName.UPDATE_MEMORY as name:
                return await self._write(scope, call, name, given, permissions)

    async def _write(
        self, scope: Scope, call: Call, name: ToolName, given: Arguments, permissions: Permissions
    ) -> Answer:
        fact, request = self._fact(given), call.request(given)
        command: ToolCommand
        if name is ToolName.SAVE_MEMORY:
            proposed = Memory(
                memory_id="",
                number=0,
                layer=fact.layer,
                text=fact.text,
                key=fact.key,
                value_json=fact.value_json,
                topics=fact.topics,
                polarity=fact.polarity,
            )
            _check(proposed)
            command = SaveCommand(request, call.origin, permissions, self.quotas.of(scope.namespace), fact)
        else:
            number = given.number()
            if not number:
                raise invalid("number", "must be a memory's number, such as m17")
            if fact == Fact():
                raise invalid("arguments", "must say what changes: text, value, topics or polarity")
            command = UpdateCommand(request, call.origin, permissions, self.quotas.of(scope.namespace), number, fact)
        return _answer(await self.writer.write(scope, command), "That is remembered already: nothing was changed.")

    def _fact(self, given: Arguments) -> Fact:
        redacted = self.redactor.memory(
            Memory(memory_id="", number=0, text=given.text("text"), key=given.key(), value_json=given.value_json())
        )
        return Fact(
            layer=given.layer() or Fact().layer,
            text=redacted.text,
            key=redacted.key,
            value_json=redacted.value_json,
            topics=given.topics(),
            polarity=given.polarity(),
        )

    async def _forget(self, scope: Scope, call: Call, given: Arguments, permissions: Permissions) -> Answer:
        choice, request = read_choice(given), call.request(given)
        if choice.description:
            choice = replace(choice, nearest=await self._nearest(scope, choice.description))
        command = ForgetCommand(request, call.origin, permissions, self.quotas.of(scope.namespace), choice)
        written = await self.writer.write(scope, command)
        while written.more:
            command = replace(command, part=command.part + 1, forgotten=written.count)
            last = await self.writer.write(scope, command)
            written = last if last.commit.changes else replace(written, more=False)
        return _answer(written, "Nothing was forgotten.")

    async def _nearest(self, scope: Scope, description: str) -> dict[str, str]:
        """Return the etags, by id, of the memories that a description may mean, nearest first."""
        user = await self.users.latest(scope)
        await user.prepare_search()
        self.users.recount(user)
        hits = user.search(description, _NEAREST)
        found = [user.get(hit.memory_id) for hit in hits if not hit.by_context]
        return {memory.memory_id: memory.etag for memory in found if memory is not None}


def _check(proposed: Memory) -> None:
    """Raise InvalidArgument, naming the argument, for a fact that is none."""
    try:
        check_memory(proposed, "")
    except Error as error:
        if error.fields:
            field = error.fields[0]
            raise invalid(field.field.lstrip(".").replace("value_json", "value"), field.description) from error
        raise


def _answer(written: Written, nothing: str) -> Answer:
    commit = written.commit
    if not commit.changes:
        return Answer(text=nothing, revision=written.revision)
    text = told(commit.changes)
    if written.count > len(commit.changes):
        text = f"Forgot {written.count} memories, among them:\n{text}"
    return Answer(text=text, commit=commit, revision=written.revision)
