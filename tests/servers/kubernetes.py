"""An API server of Kubernetes with its etcd, and no more: no node runs a pod, and no controller makes one.

The server is built once from source (ten minutes of a processor), and kept; etcd is Debian's `etcd-server`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.certificates import Authority
from tests.servers.go_tools import go_program
from tests.servers.places import free_port
from tests.servers.process import DatabaseServer, ServerMissing

VERSION = "1.37.2"
SERVICE_ADDRESSES = "127.7.0.0/24"
"""What Services get: addresses of this machine, so that a process here can serve as a Service's pod."""

_SOURCES = Path(__file__).parent / "kube_apiserver"
_TOKEN = "administrator"
_START_SECONDS = 300.0
"""It takes nine by itself, of a processor that it has for itself."""
_POLL_SECONDS = 0.2
_CALL_SECONDS = 120.0


class Etcd(DatabaseServer):
    """Where the API server keeps what it is told."""

    title = "etcd"

    def __init__(self) -> None:
        found = shutil.which("etcd")
        if found is None:
            raise ServerMissing("etcd: install Debian's etcd-server")
        self._binary = found
        super().__init__()
        self._peers = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [
            *(self._binary, "--data-dir", str(self.folder / "data"), "--unsafe-no-fsync", "--log-level", "error"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", f"http://127.0.0.1:{self._peers}"),
        ]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


class ApiServer(DatabaseServer):
    """The API server; `kubectl` and `helm` are run against it as its administrator."""

    title: ClassVar[str] = "kube-apiserver"

    def __init__(self) -> None:
        self._kubectl = shutil.which("kubectl")
        if self._kubectl is None:
            raise ServerMissing("kubectl: there is none on the path")
        flags = f"-s -w -X k8s.io/component-base/version.gitVersion=v{VERSION}"
        self._binary = go_program("kube-apiserver", _SOURCES, flags, seconds=7200.0)
        self._etcd = Etcd()
        super().__init__()
        self._authority = Authority("cluster")
        self._make_files()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> str:
        return self._authority.pem.decode()

    @cached_property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start(self) -> None:
        """Start both and return once it answers. Raises ServerEnded, TimeoutError."""
        self._etcd.start()
        self.launch()
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.title} does not answer\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        # Before etcd: without it a stop waits for a minute.
        super().stop()
        self._etcd.stop()

    def close(self) -> None:
        super().stop()
        super().close()
        self._etcd.close()

    def command(self) -> Sequence[str]:
        account = self.folder / "accounts.key"
        return [
            *(str(self._binary), f"--etcd-servers={self._etcd.url}", f"--secure-port={self.port}"),
            *("--bind-address=127.0.0.1", f"--cert-dir={self.folder}", f"--tls-cert-file={self.folder}/server.pem"),
            *(f"--tls-private-key-file={self.folder}/server.key", f"--token-auth-file={self.folder}/tokens"),
            *("--authorization-mode=RBAC", f"--service-account-key-file={account}"),
            *(f"--service-account-signing-key-file={account}", "--service-account-issuer=https://cluster.test"),
            *("--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"),
            f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        ]

    def answers(self) -> bool:
        request = Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
        try:
            with urlopen(request, timeout=5, context=ssl.create_default_context(cadata=self.ca)) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    def kubectl(self, *arguments: str, manifests: object = None) -> str:
        """Run kubectl and return what it prints; `manifests` go in by -f -. Raises Refused."""
        text = None
        if manifests is not None:
            items = manifests if isinstance(manifests, list) else [manifests]
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            arguments = (*arguments, "-f", "-")
        assert self._kubectl is not None
        return self.run(self._kubectl, *arguments, text=text)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def run(self, program: str, *arguments: str, text: str | None = None) -> str:
        """Run a program as the cluster's administrator and return what it prints. Raises Refused."""
        result = subprocess.run(
            [program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=_CALL_SECONDS,
            env=self.environment(),
        )
        if result.returncode:
            raise Refused(f"{Path(program).name} {' '.join(arguments)}: {result.stderr.strip() or result.stdout}")
        return result.stdout

    def environment(self) -> Mapping[str, str]:
        homes = {f"HELM_{name}_HOME": str(self.folder / "helm") for name in ("CACHE", "CONFIG", "DATA")}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig), **homes}

    def _make_files(self) -> None:
        self._authority.write(self.folder, "server", "127.0.0.1", "localhost", "kubernetes.default.svc")
        (self.folder / "tokens").write_text(f"{_TOKEN},{_TOKEN},{_TOKEN},system:masters\n")
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "accounts.key").write_bytes(pem)
        (self.folder / "ca.pem").write_bytes(self._authority.pem)
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "ca.pem")}
        named = {
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        self.kubeconfig.write_text(
            json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "test", **named})
        )


class Refused(Exception):
    """What a program says that was not done."""
