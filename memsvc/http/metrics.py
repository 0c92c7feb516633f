"""`/metrics`: what was counted, and what the server knows of itself at the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from memsvc.application import Application
from memsvc.clock import now_micros
from memsvc.metrics.instruments import CONTENT_TYPE, Asked, Family, exposition
from memsvc.metrics.merging import Block, blocks
from memsvc.metrics.process import process_families
from memsvc.rpc.listeners import Edge

_IDLE_BEAT_SECONDS: Final = 0.25
_BUSY_BEAT_SECONDS: Final = 0.02
_BUSY_SECONDS: Final = 0.001
"""An event loop that has worked for so long since the last beat is busy: it is looked at often enough to see stalls."""


class MetricsPage:
    """Writes the page. What it reads it finds in RAM: the database is not asked."""

    def __init__(self, application: Application, edge: Edge) -> None:
        meters = application.meters
        self._lag = LoopLag()
        self._families: list[Family] = [
            *(meters.families() if meters is not None else ()),
            *_of_calls(edge),
            *_of_users(application),
            *_of_writes(application),
            *_of_learning(application),
            Asked("memsvc_event_loop_lag_seconds", "How late the event loop was since the last look.", self._lag.worst),
            Asked("memsvc_info", "What serves.", lambda: {_facts(application): 1.0}, ("version", "driver", "engine")),
            *process_families(),
        ]

    def __call__(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE, exposition(self._families).encode()

    def blocks(self, process: int) -> list[Block]:
        """Return the page as one of several processes tells it the others."""
        return blocks(self._families, process)

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """The labels of each metric, by its name."""
        return {family.name: family.labels for family in self._families}

    def close(self) -> None:
        self._lag.close()


def _facts(application: Application) -> tuple[str, ...]:
    return application.version, application.driver_name, application.engine.name


def _of_calls(edge: Edge) -> list[Family]:
    admission = edge.admission
    return [
        Asked("memsvc_rpc_calls_under_way", "Unary calls that are being answered.", lambda: admission.calls),
        Asked("memsvc_rpc_bytes_in_flight", "RAM that calls under way hold.", lambda: admission.room.held_bytes),
        Asked("memsvc_rpc_bytes_limit", "What they may hold.", lambda: admission.room.max_bytes),
        Asked("memsvc_draining", "1 once the server takes no further calls.", lambda: float(edge.is_draining)),
    ]


def _of_users(application: Application) -> list[Family]:
    users, budget = application.users, application.settings.cache_bytes

    def count(name: str) -> Callable[[], float]:
        return lambda: float(getattr(users.counts, name))

    return [
        Asked("memsvc_hot_users", "Users that are in RAM.", lambda: users.hot_count),
        Asked("memsvc_hot_users_bytes", "RAM that they take.", lambda: users.hot_bytes),
        Asked("memsvc_hot_users_limit_bytes", "What they may take.", lambda: budget),
        Asked("memsvc_user_reads_total", "How often a user was asked for.", count("reads"), kind="counter"),
        Asked("memsvc_user_loads_total", "... and was loaded from the database.", count("loads"), kind="counter"),
        Asked("memsvc_user_evictions_total", "Users that had to make room.", lambda: users.evictions, kind="counter"),
        Asked(
            "memsvc_user_catch_ups_total",
            "How often records of another process were folded in.",
            count("catch_ups"),
            kind="counter",
        ),
    ]


def _of_writes(application: Application) -> list[Family]:
    writer = application.writer
    return [
        Asked(
            "memsvc_journal_appends_total",
            "Appends to users' journals, by what came of them.",
            lambda: {(outcome.name.lower(),): float(count) for outcome, count in writer.outcomes.items()},
            ("outcome",),
            "counter",
        ),
        Asked("memsvc_commands_total", "Commands that were written.", lambda: writer.written, kind="counter"),
        Asked("memsvc_commands_waiting", "Commands that wait to be written.", lambda: writer.waiting_count),
        Asked(
            "memsvc_commands_oldest_seconds", "How long the oldest of them has waited.", lambda: writer.oldest_seconds
        ),
    ]


def _of_learning(application: Application) -> list[Family]:
    troubles = application.worker.troubles

    def depth() -> Mapping[tuple[str, ...], float]:
        return {(reason,): float(count) for reason, (count, _) in troubles.queue().items()}

    def oldest() -> Mapping[tuple[str, ...], float]:
        now = now_micros()
        return {(reason,): max(0.0, (now - since) / 1e6) for reason, (_, since) in troubles.queue().items()}

    return [
        Asked(
            "memsvc_queue_extractions", "Extractions that have not ended, by what they wait for.", depth, ("reason",)
        ),
        Asked("memsvc_queue_oldest_seconds", "How long ago the oldest of them was accepted.", oldest, ("reason",)),
        Asked("memsvc_failed_extractions", "Extractions that failed for good.", lambda: troubles.failed().count),
    ]


class LoopLag:
    """How late the event loop calls what is due: others' work that held it up.

    Of a stall it sees what is left when a beat is due. A loop that has nothing to do is woken rarely.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worst = 0.0
        self._worked = time.thread_time()
        self._due = 0.0
        self._next: asyncio.TimerHandle | None = None
        self._plan(_IDLE_BEAT_SECONDS)

    def worst(self) -> float:
        """Return the most since this was asked last."""
        worst, self._worst = max(self._worst, self._loop.time() - self._due), 0.0
        return max(0.0, worst)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _plan(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._next = self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        self._worst = max(self._worst, self._loop.time() - self._due)
        worked = time.thread_time()
        is_busy, self._worked = worked - self._worked > _BUSY_SECONDS, worked
        self._plan(_BUSY_BEAT_SECONDS if is_busy else _IDLE_BEAT_SECONDS)
