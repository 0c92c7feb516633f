"""The admission webhook injects what `memsvc inject` does, as JSON Patch, over TLS."""

from __future__ import annotations

import base64
import copy
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from memsvc.cli.inject import inject
from memsvc.kubernetes.patch import Operation, apply
from tests.certificates import Authority
from tests.servers.places import free_port

START_SECONDS = 60.0
VALUES = {"settings": {"engine": "rules"}, "settingsFromSecrets": {"storage_url": {"name": "memory", "key": "url"}}}
POD: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "agent", "annotations": {"memsvc.dev/inject": "true"}},
    "spec": {
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
        "containers": [{"name": "agent", "image": "agent:1", "env": [{"name": "A", "value": "b"}]}],
    },
}


class Webhook:
    """A running webhook."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        authority = Authority("webhook")
        self.files = authority.write(folder, "webhook", "localhost")
        self.context = ssl.create_default_context(cadata=authority.pem.decode())
        values = folder / "values.yaml"
        values.write_text(yaml.safe_dump({"memsvc-sidecar": VALUES}))
        self.log = folder / "log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "memsvc", "webhook", f"--listen=127.0.0.1:{self.port}"),
                    *(f"--values={values}", f"--tls-certificate-file={self.files[0]}"),
                    f"--tls-key-file={self.files[1]}",
                ],
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while " serving " not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = HTTPSConnection("localhost", self.port, context=self.context, timeout=30)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def review(self, pod: Any) -> Mapping[str, Any]:
        request = {"uid": "u-1", "operation": "CREATE", "object": pod}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
        status, reply = self.ask("POST", "/mutate?timeout=5s", body.encode())
        assert status == 200, reply
        response = json.loads(reply)["response"]
        assert response["uid"] == "u-1"
        return dict(response)


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    made = Webhook(tmp_path_factory.mktemp("webhook"))
    yield made
    made.process.send_signal(signal.SIGTERM)
    assert made.process.wait(timeout=30) == 0


def patched(pod: Any, response: Mapping[str, Any]) -> Any:
    assert response["allowed"]
    assert response["patchType"] == "JSONPatch"
    result = copy.deepcopy(dict(pod))
    apply(result, [Operation(**each) for each in json.loads(base64.b64decode(response["patch"]))])
    return result


def test_it_injects_what_the_command_does(webhook: Webhook, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    by_command = CliRunner().invoke(inject, ["--values", str(values)], input=json.dumps(POD)).output
    once = patched(POD, webhook.review(POD))
    assert once == yaml.safe_load(by_command)
    # The API server asks again when another webhook changed the pod (reinvocationPolicy IfNeeded).
    assert webhook.review(once) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    ("pod", "response"),
    [
        ({**POD, "metadata": {"annotations": {"memsvc.dev/inject": "false"}}}, {"allowed": True}),
        ({"spec": {}}, {"allowed": True}),
        (None, {"allowed": True}),
        (
            {"spec": {"containers": [{"name": "memsvc"}]}},
            {"allowed": True, "warnings": ["memsvc was not injected: the pod has a container of that name"]},
        ),
    ],
    ids=["said no", "no containers", "no pod", "its own memsvc"],
)
def test_other_pods_are_let_in_as_they_are(webhook: Webhook, pod: Any, response: Mapping[str, Any]) -> None:
    assert webhook.review(pod) == {"uid": "u-1", **response}


def test_an_annotation_that_makes_no_sense_keeps_the_pod_out_and_says_why(webhook: Webhook) -> None:
    response = webhook.review({**POD, "metadata": {"annotations": {"memsvc.dev/engin": "rules"}}})
    assert not response["allowed"]
    assert "did you mean engine" in response["status"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/readyz", b"", 200),
        ("GET", "/", b"", 404),
        ("POST", "/other", b"{}", 404),
        ("POST", "/mutate", b"{", 400),
        ("POST", "/mutate", b'{"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "x"}}', 400),
        ("POST", "/mutate", b"\xff", 400),
    ],
    ids=str,
)
def test_what_is_no_review_is_refused(webhook: Webhook, method: str, path: str, body: bytes, status: int) -> None:
    assert webhook.ask(method, path, body)[0] == status


def test_what_is_too_large_is_refused_before_it_is_read(webhook: Webhook) -> None:
    connection = HTTPSConnection("localhost", webhook.port, context=webhook.context, timeout=30)
    connection.putrequest("POST", "/mutate")
    connection.putheader("Content-Length", str((8 << 20) + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_who_says_nothing_holds_up_nobody(webhook: Webhook) -> None:
    with socket.create_connection(("127.0.0.1", webhook.port)):
        assert webhook.review(POD)["allowed"]
