"""Changing the configuration: one command on the journal of the namespace's reserved empty user."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.configuration import Configured, GivenLayer, GivenOperations, GivenRetention, GivenSettings
from memsvc.errors import Aborted, Reason, ResourceExhausted
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Request, new_nonce
from memsvc.journal.state import State
from memsvc.model import Layer, Scope, encode
from memsvc.storage.driver import RecordKind
from memsvc.users import Users
from memsvc.writing.writer import Writer

NAMESPACE_BYTES: Final = 1 << 20
"""What is configured of a namespace and all its agents: it is held in RAM, and one row."""

_WHOLE: Final = {"operations": GivenOperations(), "retention": GivenRetention()}
PATHS: Final = frozenset(
    (
        "enabled",
        "mode",
        "capture_instructions",
        *_WHOLE,
        *(f"operations.{name}" for name in GivenOperations.__struct_fields__),
        *(f"retention.{name}" for name in GivenRetention.__struct_fields__),
        *Layer,
        *(f"{layer}.{name}" for layer in Layer for name in GivenLayer.__struct_fields__),
    )
)
"""What an update may set: a field, or all of a part."""


class UpdateConfig(Command[Configured]):
    """Set some of the settings of a namespace, or of an agent in it."""

    agent_id: str
    given: GivenSettings
    paths: Collection[str] | None
    """Which of `given` to set, of `PATHS`; None: all, and nothing else stays."""
    etag: str = ""
    request: Request | None = None

    def decide(self, state: State, moment: Moment) -> Decision:
        before = state.core.configs.get(self.agent_id, Configured(agent_id=self.agent_id))
        if self.etag and self.etag != before.etag:
            held = f"is at etag {before.etag}" if before.etag else "was never changed"
            raise Aborted(Reason.ETAG_MISMATCH, f"the configuration {held}", metadata={"etag": before.etag})
        revision = state.revision + 1
        after = Configured(
            agent_id=self.agent_id,
            given=self.given if self.paths is None else with_paths(before.given, self.given, self.paths),
            revision=revision,
            etag=f"{revision}-{moment.nonce[:8]}",
            time=moment.time,
        )
        others = (each for agent_id, each in state.core.configs.items() if agent_id != self.agent_id)
        if sum(len(encode(each)) for each in (*others, after)) > NAMESPACE_BYTES:
            message = f"the configuration of the namespace would be more than {NAMESPACE_BYTES >> 10} KiB"
            raise ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(NAMESPACE_BYTES)})
        return Decision(
            RecordKind.CONFIG,
            Body(
                revision=revision,
                request=self.request,
                configured=after,
                configured_before=state.core.configs.get(self.agent_id),
            ),
        )

    def result(self, recorded: Recorded) -> Configured:
        assert recorded.body.configured is not None
        return recorded.body.configured


class ConfigWriter(Struct):
    """Changes what is configured."""

    users: Users
    writer: Writer

    async def update(self, namespace: str, command: UpdateConfig) -> Configured:
        """Carry out an update. Raises Aborted (ETAG_MISMATCH), ResourceExhausted (REQUEST_TOO_LARGE)."""
        return await self.writer.write(Scope(namespace, ""), command)

    async def would_be(self, namespace: str, command: UpdateConfig) -> Configured:
        """Return what the configuration would be after an update. Raises as `update` does."""
        state = (await self.users.latest(Scope(namespace, ""))).state
        now = self.users.clock()
        body = command.decide(state, Moment(max(now, state.core.time + 1), new_nonce(), now)).body
        assert body.configured is not None
        return body.configured


def with_paths(before: GivenSettings, given: GivenSettings, paths: Collection[str]) -> GivenSettings:
    """Return `before` with what `given` says of these paths; where it says nothing of one, that is cleared."""
    for path in sorted(paths):
        part, _, name = path.partition(".")
        if part in tuple(Layer):
            before = replace(before, layers=_layers(before, given, Layer(part), name))
        elif name:
            changed = replace(getattr(before, part), **{name: getattr(getattr(given, part), name)})
            before = replace(before, **{part: changed})
        else:
            before = replace(before, **{part: getattr(given, part)})
    return before


def _layers(before: GivenSettings, given: GivenSettings, layer: Layer, name: str) -> dict[Layer, GivenLayer]:
    said = given.layers.get(layer, GivenLayer())
    if name:
        said = replace(before.layers.get(layer, GivenLayer()), **{name: getattr(said, name)})
    layers = {**before.layers, layer: said}
    return {each: layers[each] for each in Layer if each in layers and layers[each] != GivenLayer()}
