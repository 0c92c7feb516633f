"""What the store does, written once for both clients: generators that ask for calls, and who carries these out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from memsvc_client import AsyncMemoryClient, Memory, MemoryClient

T = TypeVar("T")

Request: TypeAlias = Callable[[Any], Any]
"""From a client to the answer of one call, or to an awaitable of it."""


@dataclass(frozen=True, slots=True)
class Take:
    """The first items of a list of memories, as `read` makes them; what it makes None does not count."""

    listing: Request
    read: Callable[[Memory], Any]
    count: int


Plan: TypeAlias = Generator[Request | Take, Any, T]


def carry_out(plan: Plan[T], client: MemoryClient) -> T:
    """Carry out a plan by a blocking client."""
    answer, failure = None, None
    while True:
        try:
            request = plan.throw(failure) if failure is not None else plan.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer, failure = None, None
        try:
            answer = _taken(request, client) if isinstance(request, Take) else request(client)
        except Exception as error:
            failure = error


async def acarry_out(plan: Plan[T], client: AsyncMemoryClient) -> T:
    """Carry out a plan by an asyncio client."""
    answer, failure = None, None
    while True:
        try:
            request = plan.throw(failure) if failure is not None else plan.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer, failure = None, None
        try:
            answer = await (_ataken(request, client) if isinstance(request, Take) else request(client))
        except Exception as error:
            failure = error


def _taken(take: Take, client: MemoryClient) -> list[Any]:
    taken: list[Any] = []
    if take.count > 0:
        for memory in take.listing(client):
            if (made := take.read(memory)) is not None:
                taken.append(made)
                if len(taken) >= take.count:
                    break
    return taken


async def _ataken(take: Take, client: AsyncMemoryClient) -> list[Any]:
    taken: list[Any] = []
    if take.count > 0:
        async for memory in take.listing(client):
            if (made := take.read(memory)) is not None:
                taken.append(made)
                if len(taken) >= take.count:
                    break
    return taken
