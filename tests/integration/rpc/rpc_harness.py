"""A real server on a unix socket, its stubs, and the parts of it that tests hold or break."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2, status_pb2
from msgspec.structs import replace

from memsvc.application import Application, build_application
from memsvc.config import Config
from memsvc.errors import ExtractionError
from memsvc.extraction.engine import Action, Conversation, Engine, EngineEvent, Finished, Operation, Proposal
from memsvc.model import Role, Usage
from memsvc.rpc.listeners import Edge, serving
from memsvc.storage.driver import Capabilities, Driver
from memsvc.v1 import common_pb2, config_pb2, message_pb2
from memsvc.v1.admin_pb2_grpc import AdminServiceStub
from memsvc.v1.config_pb2_grpc import ConfigServiceStub
from memsvc.v1.context_pb2_grpc import ContextServiceStub
from memsvc.v1.extraction_pb2_grpc import ExtractionServiceStub
from memsvc.v1.memory_pb2_grpc import MemoryServiceStub
from memsvc.v1.session_pb2_grpc import SessionServiceStub
from memsvc.v1.tool_pb2_grpc import ToolServiceStub

SARAH = common_pb2.Scope(user_id="sarah")


@dataclass
class Learner:
    """An engine that learns each user message as it is, and can be held, or made to fail."""

    name: str = "learner"
    concurrency: int = 100
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[ExtractionError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        operations = [
            Operation(action=Action.ADD, text=message.text, quote=message.text, message_index=index)
            for index, message in enumerate(conversation.messages)
            if message.role is Role.USER
        ]
        for operation in operations:
            yield Proposal(operation)
        self.reading.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        yield Finished(operations, Usage(calls=1, input_tokens=10, output_tokens=5), "learner-1")

    async def close(self) -> None:
        return None


class BreakableDriver:
    """A driver that raises what `broken` says, whatever it is asked; and waits first while `slow` is cleared."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.broken: Exception | None = None
        self.fast = asyncio.Event()
        self.fast.set()
        self.asked = asyncio.Event()
        self.hung: Collection[str] = ()
        """Which operations alone wait, while `fast` is set."""
        self.never = asyncio.Event()

    def capabilities(self) -> Capabilities:
        # What is known without asking would be known however broken the database is.
        return replace(self._driver.capabilities(), commits_mark=None)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._driver, name)
        if not asyncio.iscoroutinefunction(attribute) or name in ("open", "close"):
            return attribute

        async def asked(*args: Any, **options: Any) -> Any:
            self.asked.set()
            await self.fast.wait()
            if name in self.hung:
                await self.never.wait()
            if self.broken is not None:
                raise self.broken
            return await attribute(*args, **options)

        return asked


@dataclass
class Harness:
    """A served application and a client of it."""

    application: Application
    engine: Learner
    driver: BreakableDriver
    edge: Edge
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.memories: Any = MemoryServiceStub(self.channel)
        self.sessions: Any = SessionServiceStub(self.channel)
        self.extractions: Any = ExtractionServiceStub(self.channel)
        self.contexts: Any = ContextServiceStub(self.channel)
        self.configs: Any = ConfigServiceStub(self.channel)
        self.tools: Any = ToolServiceStub(self.channel)
        self.admin: Any = AdminServiceStub(self.channel)


@asynccontextmanager
async def served(
    driver: Driver, folder: Path, *, health_listen: str = "", engine: Engine | None = None, **settings: Any
) -> AsyncIterator[Harness]:
    """Serve a driver that is open on a socket in `folder`; `engine` learns in place of the learner."""
    learner, breakable = Learner(), BreakableDriver(driver)
    chosen = Config(
        **{
            "storage_url": "memory://",
            "quiet_seconds": 0.0,
            "max_quiet_seconds": 0.0,
            "poll_seconds": 0.02,
            "retry_seconds": 0.01,
            **settings,
        }
    )
    application = build_application(breakable, engine or learner, chosen)  # type: ignore[arg-type]
    application.worker.start()
    address = f"unix://{folder}/s"
    try:
        async with serving(application, [address], health_listen=health_listen) as edge:
            async with grpc.aio.insecure_channel(address, options=[("grpc.default_authority", "localhost")]) as channel:
                yield Harness(application, learner, breakable, edge, channel)
    finally:
        learner.gate.set()
        breakable.fast.set()
        breakable.never.set()
        breakable.broken = None
        await application.worker.stop()
        await application.writer.close()


async def agentic(server: Harness, mode: Any = common_pb2.LEARNING_MODE_BOTH) -> Harness:
    """Let the models of agents change memory, besides what is learned."""
    settings = config_pb2.MemorySettings(mode=mode)
    mask = FieldMask(paths=["mode"])
    await server.configs.UpdateMemoryConfig(config_pb2.UpdateMemoryConfigRequest(settings=settings, update_mask=mask))
    return server


def said(text: str, role: int = common_pb2.ROLE_USER) -> message_pb2.Message:
    """Return a message of one text."""
    return message_pb2.Message(role=role, parts=[message_pb2.Part(text=message_pb2.TextPart(text=text))])  # type: ignore[arg-type]


def new_request_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Failure:
    """What a failed call said."""

    code: grpc.StatusCode
    message: str
    reason: str
    fields: tuple[str, ...]
    metadata: dict[str, str]
    retry_after_seconds: float


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """Return the status with its details."""
    reason, fields, metadata, retry = "", (), {}, 0.0
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        assert len(value) < 4096
        status = status_pb2.Status.FromString(value)
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            wait = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                reason, metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(bad):
                fields = tuple(each.field for each in bad.field_violations)
            elif detail.Unpack(wait):
                retry = wait.retry_delay.ToMilliseconds() / 1000
    return Failure(error.code(), error.details() or "", reason, fields, metadata, retry)


async def rest_of(stream: Any) -> list[Any]:
    """Read a stream, from which `read` has taken messages already, to its end."""
    rest = []
    while (reply := await stream.read()) is not grpc.aio.EOF:
        rest.append(reply)
    return rest


async def failing(call: Any) -> Failure:
    """Await a call, or read a stream to its end, and return how it failed."""
    try:
        if hasattr(call, "read"):
            await rest_of(call)
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    raise AssertionError("the call succeeded")
