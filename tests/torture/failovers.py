"""What happens to a Postgres under Patroni: each kind of failure in turn, and all that stands again before the next.

No leader is frozen: one that thaws without a watchdog takes the lead back in Debian's Patroni 3.0.2, from whoever was
promoted meanwhile, and takes from the database what that one acknowledged (docs/operations/engines.md).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.servers.patroni import TTL_SECONDS, Member, PatroniCluster

_POLL_SECONDS = 0.05
_Harm = Callable[[Member], Awaitable[None]]


@dataclass(slots=True)
class Failovers:
    """Harms one cluster."""

    cluster: PatroniCluster
    _kinds: Iterator[tuple[str, _Harm]] = field(init=False)

    def __post_init__(self) -> None:
        self._kinds = itertools.cycle(
            [
                ("leader killed", self._kill_leader),
                ("switchover", self.cluster.switch_over),
                ("Postgres crashed", self._crash),
                ("confirming standby killed", self._kill_confirming),
                ("etcd gone", self._stop_etcd),
                ("etcd gone, no failsafe_mode", self._stop_etcd_without_failsafe),
            ]
        )

    async def harm(self, random: Random) -> str:
        """Do the next kind of harm, wait until all are well again, and return its name."""
        leader = await self.cluster.well()
        await asyncio.sleep(random.uniform(0, 1))
        kind, harm = next(self._kinds)
        await harm(leader)
        await self.cluster.well()
        return kind

    async def _kill_leader(self, leader: Member) -> None:
        leader.kill()
        await self.cluster.leader(but=leader)
        leader.launch()

    async def _crash(self, leader: Member) -> None:
        leader.crash_postgres()

    async def _kill_confirming(self, leader: Member) -> None:
        standby = self.cluster.confirming(leader)
        standby.kill()
        while self.cluster.confirming(leader) in (standby, None):
            await asyncio.sleep(_POLL_SECONDS)
        standby.launch()

    async def _stop_etcd(self, leader: Member) -> None:
        self.cluster.etcd.kill()
        await asyncio.sleep(TTL_SECONDS)
        self.cluster.etcd.start()

    async def _stop_etcd_without_failsafe(self, leader: Member) -> None:
        await self.cluster.keep_leading_without_etcd(False)
        self.cluster.etcd.kill()
        while await asyncio.to_thread(leader.leads):
            await asyncio.sleep(_POLL_SECONDS)
        self.cluster.etcd.start()
        await self.cluster.leader()
        await self.cluster.keep_leading_without_etcd(True)
