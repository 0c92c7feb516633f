"""Building the conversation that an engine reads: the runs, what was said before, and the memories nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.extraction.engine import Conversation, Operation
from memsvc.extraction.reconcile import Source, Sources
from memsvc.extraction.saved import NOTHING_SAVED, Saved, saved_by_tools
from memsvc.extraction.schemas import schemas_under
from memsvc.extraction.zones import zone_memory
from memsvc.foreground import Foreground
from memsvc.meaning import Meaning
from memsvc.model import (
    Extraction,
    ExtractionKind,
    Layer,
    LearningMode,
    Memory,
    Message,
    Origin,
    Role,
    Run,
    Scope,
    Trust,
    decode,
)
from memsvc.search.hybrid import Asked
from memsvc.sessions import said_by
from memsvc.settings import DEFAULT_SETTINGS, MemorySettings
from memsvc.storage.driver import PageOf, RowKind
from memsvc.users import HotUser, Users

KNOWN_MEMORIES = 32
"""How many of the nearest memories an engine gets to see at most."""

_FEW_MEMORIES = 12
"""So few fit into any prompt: no order has to be found among them."""
_EARLIER_RUNS = 2
_EARLIER_MESSAGES = 6
_QUERY_CHARACTERS = 4_000
_VECTOR_SECONDS = 2.0
_SPEAKERS = (Role.USER, Role.ASSISTANT)


class Reading(Struct, frozen=True):
    """A conversation, and the runs that it is made of."""

    conversation: Conversation
    runs: Sequence[Run]
    saved: Saved = NOTHING_SAVED

    def trusted(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Return what an engine proposes as far as it is to be trusted: a task is a tool's word, and no more."""
        if not self.conversation.is_task:
            return operations
        return [replace(operation, trust=Trust.FROM_TOOL) for operation in operations]

    def sources(self, extractions: Sequence[Extraction], engine: str, model: str) -> Sources:
        """Return where each message came from."""
        first = extractions[0]
        sources: list[Source] = []
        for run in self.runs:
            for message in run.messages:
                called_in = run.metadata if self.conversation.is_task else {}
                origin = Origin(
                    agent_id=run.agent_id or first.agent_id,
                    team_id=run.team_id or first.team_id,
                    session_id=run.session_id or called_in.get("session_id", ""),
                    run_id=run.run_id if run.session_id else called_in.get("run_id", ""),
                    message_id=message.message_id,
                    author_id=message.author_id,
                    engine=engine,
                    model=model,
                    extraction_id=run.extraction_id if run.session_id else first.extraction_id,
                )
                sources.append(Source(origin, self.conversation.messages[len(sources)].time, message.text))
        last = sources[-1] if sources else Source(Origin(engine=engine, model=model), first.create_time)
        shown = {memory.number: memory.memory_id for memory in self.conversation.known}
        return Sources(sources, last, shown, self.conversation.shared, self.saved)


async def read(
    users: Users,
    scope: Scope,
    extractions: Sequence[Extraction],
    meaning: Meaning | None = None,
    settings: MemorySettings = DEFAULT_SETTINGS,
    foreground: Foreground | None = None,
) -> Reading:
    """Return what these extractions, of one session, have to read. No runs are left when all were deleted.

    `foreground`: what it gives way to.
    """
    driver = users.driver
    run_ids = [run_id for extraction in extractions for run_id in extraction.run_ids]
    rows = await driver.get(scope, RowKind.RUN, run_ids)
    runs = [decode(row.body, Run) for row in rows.values()]
    runs = sorted((run for run in runs if not run.replaced), key=lambda run: run.index)
    now = users.clock()
    messages = [said_by(message, run.create_time, now) for run in runs for message in run.messages]
    earlier: list[Message] = []
    session_id = extractions[0].session_id
    since = 0
    if runs and session_id:
        before = await driver.rows(
            PageOf(scope, RowKind.RUN, group=session_id, before=runs[0].index, descending=True, limit=_EARLIER_RUNS)
        )
        for row in reversed(before):
            run = decode(row.body, Run)
            since = run.create_time
            if not run.replaced:
                earlier.extend(said_by(message, run.create_time, now) for message in run.messages)
    user = await users.latest(scope)
    known = await nearest(user, [*earlier, *messages], meaning, foreground)
    saved = NOTHING_SAVED
    if settings.mode is LearningMode.BOTH:
        saved = saved_by_tools(user.memories(), runs, since)
        known = list({memory.memory_id: memory for memory in (*saved.memories, *known)}.values())
    conversation = Conversation(
        messages,
        earlier[-_EARLIER_MESSAGES:],
        known,
        schemas_under(settings),
        scope.user_id,
        extractions[0].reason,
        scope.is_shared,
        is_task=extractions[0].kind is ExtractionKind.TASK,
        instructions=settings.capture_instructions,
    )
    return Reading(conversation, runs, saved)


def task_origin(origin: Origin) -> Mapping[str, str]:
    """Return what the run of a task keeps of where it was given: it belongs to no session itself."""
    named = {"session_id": origin.session_id, "run_id": origin.run_id}
    return {name: value for name, value in named.items() if value}


async def nearest(
    user: HotUser, messages: Sequence[Message], meaning: Meaning | None = None, foreground: Foreground | None = None
) -> Sequence[Memory]:
    """Return the memories nearest to a conversation, best first; then profile and policy: it is likely to touch them.

    All that was said counts, the last of it first: "yes, there" is about what the question before it names.
    `foreground`: what it gives way to.
    """
    if user.state.memory_count <= _FEW_MEMORIES:
        return list(user.memories())
    said = " ".join(message.text for message in reversed(messages) if message.role in _SPEAKERS)[:_QUERY_CHARACTERS]
    await user.prepare_search()
    asked = Asked(said) if meaning is None else await meaning.prepared(said, (user,), _VECTOR_SECONDS)
    if foreground is None:
        return _found(user, asked)
    async with foreground.background():
        return _found(user, asked)


def _found(user: HotUser, asked: Asked) -> Sequence[Memory]:
    chosen: dict[str, Memory] = {}
    for memory_id in user.find(asked, KNOWN_MEMORIES):
        memory = user.get(memory_id)
        if memory is not None:
            chosen[memory.memory_id] = memory
    zone = zone_memory(user.layer(Layer.PROFILE).values())
    if zone is not None:
        # Whatever is said, its days are those of the user's clock.
        chosen.setdefault(zone.memory_id, zone)
    for layer in (Layer.PROFILE, Layer.POLICY):
        for memory in reversed(list(user.layer(layer).values())):
            if len(chosen) >= KNOWN_MEMORIES:
                break
            chosen.setdefault(memory.memory_id, memory)
    return list(chosen.values())
