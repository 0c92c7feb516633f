"""The sidecar that the chart renders does as a process what it is there for in a pod."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import must_have
from tests.kubernetes.container import Pod
from tests.kubernetes.policy import environment
from tests.kubernetes.rendering import CASES, ROOT

PROBE_SECONDS = 60.0
CONNECT = "import socket; socket.socket(socket.AF_UNIX).connect('/run/memsvc/memsvc.sock')"
LEARN = """
import os
from memsvc_client import MemoryClient
with MemoryClient(os.environ["MEMSVC_TARGET"]) as client:
    sarah = client.user("sarah")
    sarah.append_run("s1", [("user", "I'm Sarah, a data scientist.")], wait=True)
    sarah.append_run("s2", [("user", "I live in Berlin, and I play the cello.")])
    print(sarah.context().text)
try:
    os.unlink("/run/memsvc/memsvc.sock")
except OSError as error:
    print(error.strerror)
"""
RECALL = """
import os
from memsvc_client import MemoryClient
with MemoryClient(os.environ["MEMSVC_TARGET"]) as client:
    sarah = client.user("sarah")
    sarah.append_run("s2", [("user", "ok thanks")], wait=True)
    print(sarah.context().text)
"""


def spec_of(case: str) -> Mapping[str, Any]:
    manifests = next(each for each in CASES if str(each) == case).manifests()
    spec = next(each for each in manifests if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def entry_point() -> list[str]:
    """Return what the image runs."""
    found = re.search(r'^ENTRYPOINT \["(.*)"\]$', (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split('", "')


class Sidecar:
    """memsvc in a pod."""

    def __init__(self, pod: Pod, variables: Mapping[str, str], log: Path) -> None:
        self.pod = pod
        self.container = pod.spec["initContainers"][0]
        self.log = log
        with log.open("ab") as output:
            command = [*entry_point(), *self.container["args"]]
            given = {**environment(self.container), **variables}
            self.process = pod.start(self.container, command, given, output=output.fileno())

    def wait_until_it_answers_probes(self) -> None:
        deadline = time.monotonic() + PROBE_SECONDS
        while not (self.answers("startupProbe") and self.answers("livenessProbe")):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()

    def answers(self, probe: str) -> bool:
        asked = self.container[probe]["grpc"]
        liveness = ["--liveness"] if asked.get("service") == "liveness" else []
        check = [f"{ROOT}/.venv/bin/memsvc", "healthcheck", "--target", f"127.0.0.1:{asked['port']}", *liveness]
        within = ["nsenter", f"--target={self.process.pid}", "--net", "--"]
        return subprocess.run([*within, *check], check=False, capture_output=True).returncode == 0

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=self.pod.spec["terminationGracePeriodSeconds"])


@pytest.fixture
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pod]:
    made = must_have(Pod, spec_of(request.param), tmp_path)
    for folder in tmp_path.parents:
        # Pytest keeps its folders to itself; the users of containers have to pass.
        if folder.name.startswith("pytest-"):
            folder.chmod(folder.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
    yield made
    made.close()


def said_by_agent(pod: Pod, program: str, groups: str = "") -> str:
    container = pod.spec["containers"][0]
    command = [sys.executable, "-c", program]
    agent = pod.start(container, command, environment(container), groups=groups, output=subprocess.PIPE)
    output, _ = agent.communicate(timeout=PROBE_SECONDS)
    return output.decode()


@pytest.mark.parametrize("pod", ["agent-ephemeral"], indirect=True)
def test_agents_in_the_group_of_the_pod_learn_through_the_socket_and_nothing_is_lost_by_a_stop(pod: Pod) -> None:
    sidecar = Sidecar(pod, {}, pod.volume("memsvc-data") / "log")
    sidecar.wait_until_it_answers_probes()
    socket = (pod.volume("memsvc-socket") / "memsvc.sock").stat()
    assert (socket.st_uid, socket.st_gid, stat.S_IMODE(socket.st_mode)) == (65532, 65532, 0o660)

    assert "PermissionError" in said_by_agent(pod, CONNECT, groups="1000")
    said = said_by_agent(pod, LEARN)
    assert "role: data scientist" in said
    assert "Read-only file system" in said
    # What was just said is being learned now.
    assert sidecar.stop() == 0

    again = Sidecar(pod, {}, sidecar.log)
    again.wait_until_it_answers_probes()
    said = said_by_agent(pod, RECALL)
    assert "role: data scientist" in said
    assert "Berlin" in said
    assert again.stop() == 0
    assert "Traceback" not in sidecar.log.read_text()


@pytest.mark.parametrize("pod", ["agent-shared-database"], indirect=True)
def test_a_database_that_is_away_keeps_no_agent_from_starting(pod: Pod, tmp_path: Path) -> None:
    variables = {"MEMSVC_STORAGE_URL": "postgresql://memsvc@127.0.0.1:1/memsvc", "MEMSVC_ENGINE": "rules"}
    sidecar = Sidecar(pod, variables, tmp_path / "log")
    sidecar.wait_until_it_answers_probes()
    assert "storage_away" in sidecar.log.read_text()
    assert sidecar.stop() == 0
