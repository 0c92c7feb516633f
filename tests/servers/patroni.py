"""Postgres under Patroni and etcd, as operators run it: three members, of which one leads, and who finds the leader.

    memsvc -> PgBouncer (transactions) -> HAProxy (asks each member's Patroni) -> the leader
    memsvc -> all members, in one URL

A member is a Patroni and its Postgres in a space of processes of their own, so that both die at once as with a node.
A commit counts once a second member has it on its disk, however few there are (`synchronous_mode_strict`).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import psutil

from tests.servers.between import HAProxy, PgBouncer, accepts, program
from tests.servers.places import free_port
from tests.servers.postgres import Postgres
from tests.servers.process import START_SECONDS, DatabaseServer, environment

TTL_SECONDS = 20
"""So long after a leader was last heard of another one is chosen: the shortest that Patroni allows."""
_LOOP_SECONDS = 5
_RETRY_SECONDS = 5
_PARAMETERS = {"shared_buffers": "32MB", "log_min_duration_statement": "1s", "log_lock_waits": "on"}
_SCOPE = "memsvc"
_MEMBERS = 3
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 4 * START_SECONDS
"""A member that was killed may have to be rewound, or copied anew."""
_REST_SECONDS = 3.0


class Etcd(DatabaseServer):
    """The one node of an etcd: where Patroni keeps who leads."""

    title = "etcd"

    def __init__(self) -> None:
        self._binary = program("etcd", self.title, "etcd-server")
        super().__init__()
        self._peer_port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        flags = {
            "data-dir": str(self.folder / "data"),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        return [self._binary, *(f"--{name}={value}" for name, value in flags.items())]

    def answers(self) -> bool:
        return accepts(self.port)


class Member(Postgres):
    """One Patroni and its Postgres; its process is the first of their space of processes."""

    title = "Patroni"

    def __init__(self, number: int, etcd: Etcd) -> None:
        self._binary = program("patroni", self.title)
        self._etcd = etcd
        self.name = f"member-{number}"
        self.rest_port = free_port()
        super().__init__()

    @cached_property
    def configuration(self) -> str:
        return str(self.folder / "patroni.json")

    def command(self) -> Sequence[str]:
        # Patroni lets go of its Postgres, which would outlive both it and the tests.
        space = ("unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
        return [*space, self._binary, self.configuration]

    def answers(self) -> bool:
        return self.state().get("state") == "running"

    def state(self) -> Mapping[str, Any]:
        """Return what Patroni says of this member; empty: it says nothing."""
        return self._asked("patroni")

    def cluster(self) -> Sequence[Mapping[str, Any]]:
        """Return what Patroni says of all members."""
        found: Sequence[Mapping[str, Any]] = self._asked("cluster").get("members", ())
        return found

    def leads(self) -> bool:
        """Whether Patroni lets it take writes."""
        state = self.state()
        return state.get("role") in ("master", "primary") and state.get("state") == "running"

    def crash_postgres(self) -> None:
        """Kill the Postgres and leave the Patroni, as a defect or the kernel out of memory would."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "postgres":
                    process.kill()

    def _asked(self, what: str) -> Mapping[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=_REST_SECONDS)
        try:
            connection.request("GET", f"/{what}")
            found: Mapping[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
        return found

    def _make_data(self) -> None:
        with open(self.configuration, "w") as configuration:
            json.dump(self._configuration(), configuration, indent=1)

    def _configuration(self) -> Mapping[str, Any]:
        rest, own = f"127.0.0.1:{self.rest_port}", f"127.0.0.1:{self.port}"
        whoever = {"username": "postgres", "password": "not-asked-for"}
        return {
            "scope": _SCOPE,
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"hosts": f"127.0.0.1:{self._etcd.port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_SECONDS,
                    "loop_wait": _LOOP_SECONDS,
                    "retry_timeout": _RETRY_SECONDS,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "failsafe_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": _PARAMETERS},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": own,
                "connect_address": own,
                "data_dir": str(self.data),
                "bin_dir": str(self._binaries),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {"superuser": whoever, "replication": whoever},
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                # Who leads no more and cannot be rewound copies everything again, rather than wait for somebody.
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }


class PatroniCluster:
    """Three members, their etcd, and what leads to whoever of them is the leader."""

    def __init__(self) -> None:
        """Make all of it, stopped. Raises ServerMissing."""
        program("unshare", "Patroni", "util-linux")
        self.etcd = Etcd()
        self.members = [Member(number, self.etcd) for number in range(1, _MEMBERS + 1)]
        self.haproxy = HAProxy({each.name: (each.port, each.rest_port) for each in self.members})
        self.pgbouncer = PgBouncer(self.haproxy.port)

    @property
    def servers(self) -> Sequence[DatabaseServer]:
        """All of them, those first that others need."""
        return (self.etcd, *self.members, self.haproxy, self.pgbouncer)

    @property
    def url(self) -> str:
        """Of PgBouncer."""
        return self.pgbouncer.url

    @property
    def hosts_url(self) -> str:
        """Of all members: whoever connects finds out who leads."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://postgres@{hosts}/postgres"

    async def start(self) -> None:
        """Start all, and return once there is a leader whom the others follow."""
        for server in self.servers:
            server.launch()
        for proxy in (self.haproxy, self.pgbouncer):
            await proxy.ready()
        await self.well()

    async def well(self) -> Member:
        """Return the leader once there is one, all others follow it, and one of these confirms what it commits."""
        try:
            return await _until(self._leader_if_well, _PATIENCE_SECONDS)
        except TimeoutError as late:
            states = [(member.name, member.state(), member.cluster()) for member in self.members]
            raise TimeoutError(f"the Patroni cluster does not become well: {states}") from late

    async def leader(self, but: Member | None = None) -> Member:
        """Return the leader once there is one, and another than `but`."""

        def found() -> Member | None:
            return next((each for each in self.members if each is not but and each.leads()), None)

        return await _until(found, _PATIENCE_SECONDS)

    def confirming(self, leader: Member) -> Member | None:
        """Return whom the leader waits for before it commits: who is promoted when it is gone."""
        names = [each["name"] for each in leader.cluster() if each.get("role") == "sync_standby"]
        return next((member for member in self.members if member.name in names), None)

    async def switch_over(self, leader: Member) -> None:
        """Let Patroni make another member the leader, as for maintenance."""
        await asyncio.to_thread(self._patronictl, "switchover", "--force", "--master", leader.name)

    async def keep_leading_without_etcd(self, wanted: bool) -> None:
        """Set `failsafe_mode`, and return when all members have heard of it."""
        value = json.dumps(wanted)
        await asyncio.to_thread(self._patronictl, "edit-config", "--force", "-s", f"failsafe_mode={value}")
        # Members read it once a loop.
        await asyncio.sleep(2 * _LOOP_SECONDS)

    def close(self) -> None:
        """Kill all and delete their data."""
        for server in self.servers:
            server.close()

    def _leader_if_well(self) -> Member | None:
        leaders = [member for member in self.members if member.leads()]
        if len(leaders) != 1 or not all(member.answers() for member in self.members):
            return None
        leader = leaders[0]
        # Patroni promotes whom it has noted as the one that confirms, and nobody else.
        roles = sorted(str(each.get("role")) for each in leader.cluster())
        # The note stays while that one is not there: what it does confirm, Postgres says.
        following = [
            each["sync_state"] for each in leader.state().get("replication", ()) if each["state"] == "streaming"
        ]
        confirmed = len(following) == _MEMBERS - 1 and not {"sync", "quorum"}.isdisjoint(following)
        return leader if confirmed and roles == ["leader", "replica", "sync_standby"] else None

    def _patronictl(self, *arguments: str) -> None:
        subprocess.run(
            [program("patronictl", "Patroni", "patroni"), "-c", self.members[0].configuration, *arguments, _SCOPE],
            check=True,
            capture_output=True,
            env=environment(),
        )


async def _until(look: Callable[[], Member | None], seconds: float) -> Member:
    deadline = time.monotonic() + seconds
    while (found := await asyncio.to_thread(look)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody leads")
        await asyncio.sleep(_POLL_SECONDS)
    return found
