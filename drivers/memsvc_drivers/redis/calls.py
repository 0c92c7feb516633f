"""Carries out commands, wherever their keys are: sends each where it belongs, again where that is safe, in time.

A read is sent again when its connection was lost or another node is to be asked. So is an append, with a mark: a script
that finds the journal moved on then looks whether it was itself that moved it. So a reply that was lost on the way is
found out about, and nothing is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import AskError, MovedError, NoScriptError

from memsvc_drivers.redis.connections import QUESTIONS, Command, Reply, role_reply
from memsvc_drivers.redis.errors import (
    Lost,
    Rerouted,
    TooFewReplicas,
    Unreachable,
    is_deposed,
    is_redirect,
    unavailable,
)
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.routing import Route
from memsvc_drivers.redis.scripts import Script
from memsvc_drivers.redis.settings import Address, Settings

_PAUSE_SECONDS = 0.01
_MAX_PAUSE_SECONDS = 0.1


class Call:
    """One command, and to which bucket its keys belong."""

    __slots__ = ("arguments", "asked", "asks_role", "bucket", "mark", "reply", "script", "sent", "unknown")

    def __init__(self, bucket: int, *arguments: bytes | str | int) -> None:
        self.bucket = bucket
        self.arguments: tuple[bytes | str | int, ...] = arguments
        self.script: Script | None = None
        self.unknown = False
        """The server does not know the script: it wants its source."""
        self.mark = 0
        """Which argument says, by being 1, that the command may have been carried out before."""
        self.sent = False
        self.asks_role = False
        """A replica's reply is an error, and nobody's refusal is one."""
        self.asked: Address | None = None
        """Where it is to be sent just this once."""
        self.reply: Reply = None

    @classmethod
    def of_script(
        cls, bucket: int, script: Script, keys: Sequence[bytes], values: Sequence[bytes | str | int], *, mark: int = -1
    ) -> Call:
        """Return the call of a script; `mark` is the place among `values` of what says that it is sent again."""
        call = cls(bucket, "EVALSHA", script.digest, len(keys), *keys, *values)
        call.script = script
        call.mark = 3 + len(keys) + mark if mark >= 0 else 0
        return call

    @classmethod
    def of_role(cls, bucket: int, question: Command) -> Call:
        """Return the call that asks a server whether it is a replica."""
        call = cls(bucket, *question)
        call.asks_role = True
        return call

    @property
    def command(self) -> Command:
        """What is to be sent."""
        arguments = self.arguments
        if self.unknown and self.script is not None:
            arguments = ("EVAL", self.script.source, *arguments[2:])
        if self.sent and self.mark:
            arguments = (*arguments[: self.mark], 1, *arguments[self.mark + 1 :])
        return arguments


class Calls:
    """Carries out calls on the servers of a store."""

    def __init__(self, settings: Settings, route: Route) -> None:
        self._settings = settings
        self._route = route
        self._wait = ("WAIT", settings.wait_replicas, settings.wait_timeout_ms)

    async def run(self, calls: Sequence[Call], *, together: bool = False, writes: bool = False) -> list[Reply]:
        """Return the replies, errors among them: of a server's, or of ours where there is no reply.

        With `together` all belong to one bucket, and no reply is older or newer than the others by more than one
        pipeline. With `writes` replicas are waited for, where that is configured. Raises nothing.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.operation_timeout_ms / 1000
        pending = calls
        attempt = 0
        while True:
            groups = self._groups(pending)
            if len(groups) == 1:
                [(node, group)] = groups.items()
                await self._send(node, group, deadline, patient=attempt > 0, writes=writes)
            elif groups:
                await asyncio.gather(
                    *(
                        self._send(node, group, deadline, patient=attempt > 0, writes=writes)
                        for node, group in groups.items()
                    )
                )
            left = [call for call in pending if self._goes_on(call)]
            if not left:
                return [call.reply for call in calls]
            if loop.time() >= deadline:
                for call in left:
                    call.reply = call.reply or TimeoutError()
                return [call.reply for call in calls]
            pending = left
            if together:
                pending = calls
                for call in calls:
                    # Some here and some there would not be one read: the bucket is on the move, and soon whole again.
                    call.asked = None
            if attempt:
                await asyncio.sleep(min(_PAUSE_SECONDS * 2 ** (attempt - 1), _MAX_PAUSE_SECONDS))
            attempt += 1

    async def values(self, calls: Sequence[Call], *, together: bool = False) -> list[Reply]:
        """Return the replies of reads. Raises StorageUnavailable if one of them is an error."""
        replies = await self.run(calls, together=together)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise unavailable(reply) from reply
        return replies

    async def value(self, call: Call, *, writes: bool = False) -> Reply:
        """Return the reply. Raises StorageUnavailable if it is an error."""
        [reply] = await self.run((call,), writes=writes)
        if isinstance(reply, BaseException):
            raise unavailable(reply) from reply
        return reply

    async def check(self, bucket: int) -> None:
        """Raise StorageUnavailable unless a server answers and is, as far as it tells, a master."""
        await self.values([Call(bucket, "PING"), *(Call.of_role(bucket, question) for question in QUESTIONS)])

    def _groups(self, calls: Sequence[Call]) -> dict[Node, list[Call]]:
        groups: dict[Node, list[Call]] = {}
        for call in calls:
            try:
                node = self._route.node_at(call.asked) if call.asked else self._route.node(call.bucket)
            except Rerouted as error:
                call.reply = error
                continue
            groups.setdefault(node, []).append(call)
        return groups

    async def _send(self, node: Node, calls: Sequence[Call], deadline: float, *, patient: bool, writes: bool) -> None:
        """Send calls to one node and note their replies."""
        commands: list[Command] = []
        for call in calls:
            if call.asked:
                commands.append(("ASKING",))
            commands.append(call.command)
        waits = writes and self._settings.wait_replicas > 0
        if waits:
            commands.append(self._wait)
        try:
            async with asyncio.timeout_at(deadline):
                replies: list[Any] = await node.exchange(commands, patient=patient)
        except (Lost, Unreachable, Rerouted, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                node.fail(error)
            for call in calls:
                call.sent = call.sent or isinstance(error, Lost | TimeoutError)
                call.reply = error
                self._route.doubt(call.bucket)
            return
        too_few = waits and not (isinstance(replies[-1], int) and replies[-1] >= self._settings.wait_replicas)
        position = 0
        for call in calls:
            if call.asked:
                position += 1
                call.asked = None
            call.reply = role_reply(replies[position]) if call.asks_role else replies[position]
            position += 1
            if is_deposed(call.reply):
                node.fail(call.reply)
                self._route.doubt(call.bucket)
            elif too_few and isinstance(call.reply, int) and call.reply:
                call.reply = TooFewReplicas()

    def _goes_on(self, call: Call) -> bool:
        """Whether the call has to be sent again, and where to."""
        reply = call.reply
        if not isinstance(reply, BaseException):
            return False
        if isinstance(reply, NoScriptError) and not call.unknown:
            call.unknown = True
            return True
        if isinstance(reply, AskError) and not isinstance(reply, MovedError) and reply.host:
            call.asked = Address(reply.host, reply.port)
            return True
        if is_redirect(reply):
            self._route.doubt(call.bucket, reply)
            return True
        return is_deposed(reply) or isinstance(reply, Lost | Rerouted)
