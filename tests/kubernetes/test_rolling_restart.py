"""Replicas of the shared chart behind a balancer are replaced under load, as a Deployment does it: no call fails."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memsvc_client import AsyncMemoryClient
from tests.kubernetes.balancer import Balancer, balancing
from tests.kubernetes.policy import environment
from tests.kubernetes.rendering import HELM, rendered
from tests.servers.places import free_port
from tests.servers.postgres import Postgres

CLIENTS = 4
CALLS_BETWEEN = 40
"""So many calls are answered before, between and after the steps of a rollout."""
START_SECONDS = 90.0
CALL_SECONDS = 60.0


def template(storage_url: str) -> Mapping[str, Any]:
    """Return the pod that the chart renders, on ports of this machine that are free."""
    values = {
        "insecure": True,
        "settings": {"storage_url": storage_url, "engine": "rules"},
        "ports": {"grpc": free_port(), "health": free_port()},
        "preStopSeconds": 1,
    }
    manifests = yaml.safe_load_all(rendered(HELM / "memsvc", values).partition("# NOTES.txt")[0])
    deployment = next(each for each in manifests if each and each["kind"] == "Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    return dict(deployment["spec"]["template"]["spec"])


@dataclass
class Replica:
    """The container of a pod as a process."""

    spec: Mapping[str, Any]
    process: asyncio.subprocess.Process
    log: Path

    @property
    def container(self) -> Mapping[str, Any]:
        return dict(self.spec["containers"][0])

    def port(self, name: str) -> int:
        return int(next(each["containerPort"] for each in self.container["ports"] if each["name"] == name))

    async def ready(self) -> None:
        """Return once it answers its readiness probe."""
        asked = self.container["readinessProbe"]["grpc"]
        request = health_pb2.HealthCheckRequest(service=asked.get("service", ""))
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert self.process.returncode is None, self.log.read_text()
                async with grpc.aio.insecure_channel(f"localhost:{asked['port']}") as channel:
                    try:
                        reply = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
                        if reply.status == health_pb2.HealthCheckResponse.SERVING:
                            return
                    except grpc.aio.AioRpcError:
                        await asyncio.sleep(0.05)

    async def replaced(self, balancer: Balancer) -> None:
        """Go as the kubelet lets a pod go: no new connections, preStop, SIGTERM, and an end within the grace period."""
        balancer.remove(self.port("grpc"))
        async with asyncio.timeout(self.spec["terminationGracePeriodSeconds"]):
            await asyncio.sleep(self.container["lifecycle"]["preStop"]["sleep"]["seconds"])
            self.process.terminate()
            assert await self.process.wait() == 0


@asynccontextmanager
async def replica(storage_url: str, log: Path) -> AsyncIterator[Replica]:
    spec = template(storage_url)
    (container,) = spec["containers"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "memsvc", *container["args"]),
            env={"PATH": os.environ["PATH"], **environment(container)},
            stdout=output,
            stderr=output,
        )
    try:
        yield Replica(spec, process, log)
    finally:
        # One that was not replaced, and has not ended by itself.
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, log.read_text()


@pytest.mark.postgresql
@pytest.mark.timeout(400)
async def test_replicas_are_replaced_under_load_and_no_call_fails(
    own_postgres: Callable[..., Postgres], tmp_path: Path
) -> None:
    database = await asyncio.to_thread(own_postgres)
    stopped, calls = asyncio.Event(), 0
    written: Counter[int] = Counter()

    async def caller(number: int, port: int) -> None:
        """Write and read until told to stop; whatever fails fails the test."""
        nonlocal calls
        async with AsyncMemoryClient(f"127.0.0.1:{port}", timeout_seconds=CALL_SECONDS) as client:
            user = client.user(f"user-{number}")
            while not stopped.is_set():
                await user.memories.add(f"Fact {written[number]} of {number}.")
                written[number] += 1
                assert f"of {number}." in (await user.context()).text
                calls += 1

    async def more_calls() -> None:
        until = calls + CALLS_BETWEEN
        while calls < until:
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(balancing(CLIENTS))
        served: list[Replica] = []

        async def serve_one_more() -> Replica:
            log = tmp_path / f"log-{len(served)}"
            served.append(await stack.enter_async_context(replica(database.url, log)))
            await served[-1].ready()
            balancer.add(served[-1].port("grpc"))
            return served[-1]

        before = [await serve_one_more(), await serve_one_more()]
        async with asyncio.TaskGroup() as group:
            for number, port in enumerate(balancer.ports):
                group.create_task(caller(number, port))
            await more_calls()
            for old in before:
                await serve_one_more()
                await more_calls()
                await old.replaced(balancer)
                await more_calls()
            stopped.set()

        async with AsyncMemoryClient(f"127.0.0.1:{balancer.ports[0]}", timeout_seconds=CALL_SECONDS) as client:
            for number in range(CLIENTS):
                found = [each.memory async for each in client.user(f"user-{number}").memories.list()]
                assert sorted(found) == sorted(f"Fact {count} of {number}." for count in range(written[number]))
        assert all(balancer.taken[each.port("grpc")] for each in served[:2])
        assert any(balancer.taken[each.port("grpc")] for each in served[2:])
    assert all("Traceback" not in each.log.read_text() for each in served)
