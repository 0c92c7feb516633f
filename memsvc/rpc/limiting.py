"""Limits of callers and namespaces around every call: see `memsvc.access.allowance`.

It comes once it is known who calls, and for which namespace.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from memsvc.access.accounts import Accounts, Held
from memsvc.access.allowance import Allowances
from memsvc.access.caller import Caller, Right, current_caller
from memsvc.access.rights import DEFAULT_NAMESPACE, need_of
from memsvc.model import Scope
from memsvc.rpc.authorization import reading_of
from memsvc.rpc.calling import Context, Handler, Rpc, Wrapper
from memsvc.users.population import Population


class Limiter(Struct, frozen=True):
    """What it takes to hold callers and namespaces to their limits."""

    allowances: Allowances
    population: Population
    accounts: Accounts

    def take_call(self, caller: Caller) -> None:
        """Count a call of this caller, before its request is read. Raises ResourceExhausted (LIMIT_REACHED)."""
        per_second = caller.limits.calls_per_second
        if per_second:
            self.accounts.of("caller", caller.key).take_call(per_second)


def limiting(limiter: Limiter) -> Wrapper:
    """Return the wrapper that refuses what is beyond a limit: ResourceExhausted (LIMIT_REACHED, QUOTA_EXCEEDED)."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        reading, need = reading_of(rpc.request), need_of(rpc.service, rpc.name)
        makes_users = need.right is Right.WRITE and need.has_user

        async def handle(request: Any, context: Context) -> Any:
            caller = current_caller()
            asked = reading.asked(request)
            namespace = asked.namespace or DEFAULT_NAMESPACE
            of_namespace = limiter.allowances.of(namespace)
            if of_namespace.calls_per_second:
                limiter.accounts.of("namespace", namespace).take_call(of_namespace.calls_per_second)
            task = asyncio.current_task()
            assert task is not None
            limits = [("caller", caller.key, caller.limits), ("namespace", namespace, of_namespace)]
            if rpc.streams:
                for kind, name, allowance in limits:
                    if allowance.open_streams:
                        limiter.accounts.of(kind, name).open_stream(task, allowance.open_streams)
            counted = [
                (limiter.accounts.of(kind, name), allowance.bytes_in_flight)
                for kind, name, allowance in limits
                if allowance.bytes_in_flight
            ]
            held = Held(task, counted) if counted else None
            if held is not None:
                held.request(request.ByteSize())
            if makes_users and asked.user_id:
                most = _least(of_namespace.users, caller.limits.users)
                if most:
                    await limiter.population.check_room(Scope(namespace, asked.user_id), most)
            handling = handler(request, context)
            # See `admission`.
            del request
            reply = await handling
            if held is not None and reply is not None:
                # What a write has done is done: its answer counts, and is not refused.
                held.reply(len(reply) if type(reply) is bytes else reply.ByteSize(), refuse=not rpc.writes)
            return reply

        return handle

    return wrapper


def _least(*limits: int) -> int:
    """Return the smallest limit; 0: there is none."""
    return min(filter(None, limits), default=0)
