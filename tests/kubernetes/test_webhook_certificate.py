"""The hook makes the webhook's certificate, keeps it while it is good, and never lets an untrusted one be served."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from memsvc.cli.webhook_certificate import webhook_certificate
from memsvc.kubernetes import certificate
from tests.certificates import Authority

NAME = "injector.memory.svc"
SECRETS = "/api/v1/namespaces/memory/secrets"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector"


class ApiServer(ThreadingHTTPServer):
    """Keeps documents by their paths, as an API server does; the real one is in `cluster`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        authority = Authority("cluster")
        files = authority.write(folder, "server", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        (folder / "token").write_text("secret-token")
        (folder / "namespace").write_text("memory")
        (folder / "ca.crt").write_bytes(authority.pem)

    @property
    def files(self) -> dict[str, bytes]:
        data = self.documents[f"{SECRETS}/injector-tls"]["data"]
        return {name: base64.b64decode(content) for name, content in data.items()}

    @property
    def trusted(self) -> set[bytes]:
        clients = [each["clientConfig"] for each in self.documents[CONFIGURATION]["webhooks"]]
        return {base64.b64decode(each["caBundle"]) for each in clients}


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self._answer(self.server.documents.get(self.path))

    def do_POST(self) -> None:
        document = self._document()
        self.server.documents[f"{self.path}/{document['metadata']['name']}"] = document
        self._answer(document)

    def do_PUT(self) -> None:
        self.server.documents[self.path] = self._document()
        self._answer({})

    def do_PATCH(self) -> None:
        for operation in self._document():
            index = int(operation["path"].split("/")[2])
            webhook = self.server.documents[self.path]["webhooks"][index]
            webhook["clientConfig"]["caBundle"] = operation["value"]
        self._answer({})

    def _document(self) -> Any:
        self.server.asked.append(f"{self.command} {self.path}")
        assert self.headers["Authorization"] == "Bearer secret-token"
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, document: Any) -> None:
        self.send_response(200 if document is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(document or {}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_address[1]))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(folder: Path) -> Result:
    options = ["--secret=injector-tls", f"--name={NAME}", "--configuration=injector", f"--account={folder}"]
    return CliRunner().invoke(webhook_certificate, options)


def configured(cluster: ApiServer) -> None:
    cluster.documents[CONFIGURATION] = {"webhooks": [{"clientConfig": {}}, {"clientConfig": {}}]}


def test_it_is_made_before_the_release_and_trusted_after_it(cluster: ApiServer, tmp_path: Path) -> None:
    assert run(tmp_path).output == "injector-tls: made; injector: not there yet\n"
    made = cluster.files
    configured(cluster)
    assert run(tmp_path).output == "injector-tls: kept; injector: trusts it\n"
    assert cluster.files == made
    assert cluster.trusted == {made["ca.crt"]}


def test_what_ends_soon_is_made_anew_and_both_are_trusted_before_it_is_served(
    cluster: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(certificate, "_VALID", timedelta(days=300))
        run(tmp_path)
    configured(cluster)
    before = cluster.files
    cluster.asked.clear()

    assert run(tmp_path).output == "injector-tls: made; injector: trusts it\n"

    assert cluster.asked == [f"PATCH {CONFIGURATION}", f"PUT {SECRETS}/injector-tls"]
    (trusted,) = cluster.trusted
    authorities = [each.subject for each in x509.load_pem_x509_certificates(trusted)]
    assert len(authorities) == 2
    assert trusted.endswith(before["ca.crt"])
    assert cluster.files["tls.crt"] != before["tls.crt"]


@pytest.mark.parametrize("generations", [1, 2])
def test_who_trusts_the_bundle_is_served_by_its_name(generations: int, tmp_path: Path) -> None:
    files: certificate.Files = {}
    for _ in range(generations):
        files = certificate.made(NAME, files)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    trusting = ssl.create_default_context(cadata=files["ca.crt"].decode())

    assert certificate.is_usable(files, NAME)
    assert not certificate.is_usable(files, "other.memory.svc")
    shake_hands(serving, trusting, NAME)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(serving, trusting, "other.memory.svc")


def shake_hands(serving: ssl.SSLContext, trusting: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)


@pytest.mark.parametrize("broken", [{}, {"tls.crt": b"x", "tls.key": b"x", "ca.crt": b"x"}], ids=["none", "nonsense"])
def test_what_is_no_certificate_is_made_anew(broken: certificate.Files) -> None:
    assert not certificate.is_usable(broken, NAME)


def test_outside_of_a_pod_it_says_so(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "this runs in a pod with a service account" in str(result.exception)


def test_what_the_api_server_refuses_is_told(cluster: ApiServer, tmp_path: Path) -> None:
    cluster.shutdown()
    cluster.server_close()
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "the API server does not answer" in result.output
