"""What a cluster's controllers and nodes do with the Jobs of Helm's hooks: their program runs, and its end is told.

A container's program is memsvc of this checkout, with the arguments, variables and service account of the manifest.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers.kubernetes import ApiServer

_POLL_SECONDS = 0.2
_RUN_SECONDS = 120.0


class Jobs:
    """Runs each Job once, in a thread, until it is left."""

    def __init__(self, cluster: ApiServer) -> None:
        self._cluster = cluster
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._known: set[str] = set()
        self.said: list[str] = []
        """What each program printed."""

    def __enter__(self) -> Jobs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            for job in self._cluster.get("jobs", "-A")["items"]:
                if job["metadata"]["uid"] not in self._known:
                    self._known.add(job["metadata"]["uid"])
                    self._do(job)

    def _do(self, job: Mapping[str, Any]) -> None:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        started = _now()
        spec = job["spec"]["template"]["spec"]
        with tempfile.TemporaryDirectory() as folder:
            (container,) = spec["containers"]
            environment = {
                "PATH": "/usr/bin:/bin",
                **{each["name"]: self._value(namespace, each) for each in container.get("env", [])},
            }
            arguments = list(container["args"])
            if spec.get("automountServiceAccountToken"):
                environment |= self._account(namespace, spec["serviceAccountName"], Path(folder))
                # Where the kubelet would have mounted it.
                arguments += ["--account", folder]
            result = subprocess.run(
                [sys.executable, "-m", "memsvc", *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=_RUN_SECONDS,
                check=False,
            )
        self.said.append(result.stdout + result.stderr)
        ended = {"startTime": started, "failed": 1}
        kinds = ["FailureTarget", "Failed"]
        if result.returncode == 0:
            ended = {"startTime": started, "completionTime": _now(), "succeeded": 1}
            kinds = ["SuccessCriteriaMet", "Complete"]
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": _now()} for kind in kinds]
        patch = {"status": {**ended, "conditions": conditions, "uncountedTerminatedPods": {}}}
        self._cluster.kubectl(
            *("patch", "job", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps(patch))
        )

    def _value(self, namespace: str, variable: Mapping[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        secret = self._cluster.get("secret", reference["name"], "-n", namespace)
        return base64.b64decode(secret["data"][reference["key"]]).decode()

    def _account(self, namespace: str, name: str, folder: Path) -> Mapping[str, str]:
        """Write what the kubelet mounts of a service account, and return what it says of the API server."""
        token = self._cluster.kubectl("create", "token", name, "-n", namespace)
        (folder / "token").write_text(token)
        (folder / "namespace").write_text(namespace)
        (folder / "ca.crt").write_text(self._cluster.ca)
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self._cluster.port)}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
