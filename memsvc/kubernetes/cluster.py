"""The API server of the cluster that a pod runs in, asked with the token of the pod's service account."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import msgspec

from memsvc.errors import invalid

ACCOUNT_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"

_SECONDS: Final = 30.0
_NOT_FOUND: Final = 404


class NotDone(Exception):
    """What was asked, and what the API server said to it."""


class Cluster:
    """What is asked of it is written in JSON."""

    def __init__(self, folder: str = ACCOUNT_FOLDER) -> None:
        """Raise InvalidArgument outside of a pod, or in one that was given no token."""
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        try:
            self._token = (Path(folder) / "token").read_text(encoding="ascii").strip()
            self.namespace = (Path(folder) / "namespace").read_text(encoding="ascii").strip()
            context = ssl.create_default_context(cafile=str(Path(folder) / "ca.crt"))
        except OSError as error:
            raise invalid(
                "account", f"cannot be read: {error.strerror}; this runs in a pod with a service account"
            ) from error
        if not host or not port:
            raise invalid("KUBERNETES_SERVICE_HOST", "is missing: this runs in a pod")
        self._url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    def read(self, path: str) -> Mapping[str, Any] | None:
        """Return what is there, or nothing."""
        return self._ask("GET", path)

    def create(self, path: str, document: Mapping[str, Any]) -> None:
        self._ask("POST", path, "application/json", document)

    def replace(self, path: str, document: Mapping[str, Any]) -> None:
        self._ask("PUT", path, "application/json", document)

    def patch(self, path: str, operations: object) -> None:
        """Carry out a JSON Patch."""
        self._ask("PATCH", path, "application/json-patch+json", operations)

    def _ask(self, method: str, path: str, kind: str = "", body: object = None) -> Mapping[str, Any] | None:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if kind:
            headers["Content-Type"] = kind
        data = msgspec.json.encode(body) if kind else None
        request = Request(self._url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_SECONDS) as reply:
                found: Mapping[str, Any] = msgspec.json.decode(reply.read())
                return found
        except HTTPError as error:
            if error.status == _NOT_FOUND and method == "GET":
                return None
            raise NotDone(f"{method} {path}: the API server says {error.code} {error.reason}") from error
        except (URLError, OSError) as error:
            cause = error.reason if isinstance(error, URLError) else error
            why = getattr(cause, "strerror", None) or cause
            raise NotDone(f"{method} {path}: the API server does not answer: {why}") from error
