"""TLS and client certificates, with certificates made here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from callers import Callers
from rpc_harness import SARAH, Failure, Learner, failure_of

from memsvc.access.caller import Right
from memsvc.access.tokens import Entry
from memsvc.application import build_application
from memsvc.config import Config
from memsvc.errors import InvalidArgument
from memsvc.rpc.listeners import serving
from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2, common_pb2, memory_pb2
from memsvc.v1.admin_pb2_grpc import AdminServiceStub
from memsvc.v1.memory_pb2_grpc import MemoryServiceStub
from memsvc_client import AsyncMemoryClient, MemoryServiceError
from tests.certificates import Authority, replace

Serve = Callable[..., AbstractAsyncContextManager[str]]
NAMES = ("localhost", "127.0.0.1")


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def ca_file(authority: Authority, folder: Path) -> Path:
    path = folder / "ca.pem"
    path.write_bytes(authority.pem)
    return path


@pytest.fixture
def serve(driver: Driver, folder: Path, authority: Authority) -> Serve:
    """Serves with a certificate of the authority's, and gives the address."""

    @asynccontextmanager
    async def served(listen: str = "127.0.0.1:0", **settings: Any) -> AsyncIterator[str]:
        certificate, key = folder / "server.pem", folder / "server.key"
        if not certificate.exists():
            authority.write(folder, "server", *NAMES)
        config = Config(
            storage_url="memory://", tls_certificate_file=str(certificate), tls_key_file=str(key), **settings
        )
        application = build_application(driver, Learner(), config)
        async with serving(application, [listen]) as edge:
            yield edge.addresses[0]

    return served


async def tried(address: str, credentials: grpc.ChannelCredentials | None, metadata: Any = ()) -> Failure | None:
    """Ask for a list of memories; return how that failed."""
    opened = (
        grpc.aio.insecure_channel(address) if credentials is None else grpc.aio.secure_channel(address, credentials)
    )
    async with opened as channel:
        try:
            await MemoryServiceStub(channel).ListMemories(  # type: ignore[misc]
                memory_pb2.ListMemoriesRequest(scope=SARAH), timeout=10, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            return failure_of(error)
    return None


def trusting(authority: Authority, own: tuple[bytes, bytes] | None = None) -> grpc.ChannelCredentials:
    certificate, key = own or (None, None)
    return grpc.ssl_channel_credentials(authority.pem, key, certificate)


async def test_who_trusts_the_ca_is_served_and_nobody_else(serve: Serve, authority: Authority) -> None:
    async with serve() as address:
        assert await tried(address, trusting(authority)) is None
        for credentials in (trusting(Authority("another")), None):
            failure = await tried(address, credentials)
            assert failure is not None
            assert failure.code is grpc.StatusCode.UNAVAILABLE


async def test_an_expired_certificate_is_not_trusted(serve: Serve, authority: Authority, folder: Path) -> None:
    authority.write(folder, "server", *NAMES, expired=True)
    async with serve() as address:
        assert await tried(address, trusting(authority)) is not None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_before_1_2_is_refused(serve: Serve, ca_file: Path, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    refused = pytest.raises((ssl.SSLError, OSError)) if version < ssl.TLSVersion.TLSv1_2 else contextlib.nullcontext()
    async with serve() as address:
        host, _, port = address.rpartition(":")
        with refused:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.close()


async def test_a_client_ca_asks_every_client_for_a_certificate(
    serve: Serve, authority: Authority, ca_file: Path
) -> None:
    async with serve(tls_client_ca_file=str(ca_file)) as address:
        assert await tried(address, trusting(authority, authority.issue("agent.example"))) is None
        wrong_ca = Authority("another").issue("agent.example")
        expired = authority.issue("agent.example", expired=True)
        for own in (None, wrong_ca, expired):
            failure = await tried(address, trusting(authority, own))
            assert failure is not None
            assert failure.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("bound", "name", "allowed"),
    [
        ("spiffe://example.org/agents/*", "spiffe://example.org/agents/billing", True),
        ("spiffe://example.org/agents/*", "spiffe://example.org/people/ben", False),
        ("spiffe://example.org/agents/*", "spiffe://evil.org/spiffe://example.org/agents/x", False),
        ("agent.example", "agent.example", True),
        ("agent.example", "other.example", False),
        ("10.1.*", "10.1.2.3", True),
    ],
)
async def test_a_name_in_the_certificate_says_namespace_and_rights(
    serve: Serve, authority: Authority, ca_file: Path, folder: Path, bound: str, name: str, allowed: bool
) -> None:
    callers = Callers(folder)
    callers.file.add(Entry(id="agents", certificate=bound, namespaces=["agents"], rights=[Right.READ]))
    async with serve(tls_client_ca_file=str(ca_file), tokens_file=str(callers.path)) as address:
        own = trusting(authority, authority.issue(name))
        failure = await tried(address, own)
        if not allowed:
            assert failure is not None
            assert failure.code is grpc.StatusCode.UNAUTHENTICATED
            return
        # The list above was one of the namespace `agents`, since the request named none.
        assert failure is None
        async with grpc.aio.secure_channel(address, own) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await MemoryServiceStub(channel).ListMemories(  # type: ignore[misc]
                    memory_pb2.ListMemoriesRequest(scope=common_pb2.Scope(namespace="default", user_id="sarah"))
                )
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        # A token decides where there is one, be it wrong.
        failure = await tried(address, own, (("authorization", "Bearer memsvc_x_" + "0" * 64),))
        assert failure is not None
        assert failure.code is grpc.StatusCode.UNAUTHENTICATED


async def test_changed_certificates_are_shown_to_new_connections_and_no_call_fails(
    serve: Serve, authority: Authority, folder: Path
) -> None:
    stopped = asyncio.Event()
    calls = 0

    async def caller(address: str, credentials: grpc.ChannelCredentials) -> None:
        nonlocal calls
        async with grpc.aio.secure_channel(address, credentials) as channel:
            admin: Any = AdminServiceStub(channel)
            while not stopped.is_set():
                await admin.GetServerInfo(admin_pb2.GetServerInfoRequest(), timeout=30)
                calls += 1

    async def newcomer(address: str, credentials: grpc.ChannelCredentials) -> None:
        nonlocal calls
        while not stopped.is_set():
            assert await tried(address, credentials) is None
            calls += 1

    async with serve() as address:
        later = Authority("later")
        both = grpc.ssl_channel_credentials(authority.pem + later.pem)
        async with asyncio.TaskGroup() as group:
            for each in (caller, caller, newcomer):
                group.create_task(each(address, both))
            for issuer in (authority, later, authority, later):
                certificate, key = issuer.issue(*NAMES)
                seen = calls
                # Until the key follows, the pair does not fit, and what was there before is shown.
                replace(folder / "server.pem", certificate)
                while calls < seen + 5:
                    await asyncio.sleep(0.01)
                replace(folder / "server.key", key)
                while calls < seen + 20:
                    await asyncio.sleep(0.01)
            stopped.set()
        assert await tried(address, trusting(later)) is None
        assert await tried(address, trusting(authority)) is not None


async def test_files_that_make_no_sense_keep_a_server_from_starting(
    driver: Driver, folder: Path, authority: Authority
) -> None:
    certificate, key = authority.write(folder, "server", *NAMES)
    other, _ = authority.write(folder, "other", *NAMES)
    empty = folder / "empty"
    empty.touch()
    for settings, wrong in (
        ({"tls_certificate_file": certificate}, "tls_key_file"),
        ({"tls_key_file": key}, "tls_certificate_file"),
        ({"tls_certificate_file": folder / "none", "tls_key_file": key}, "tls_certificate_file"),
        ({"tls_certificate_file": other, "tls_key_file": key}, "tls_certificate_file"),
        ({"tls_certificate_file": certificate, "tls_key_file": key, "tls_client_ca_file": empty}, "tls_client_ca_file"),
        ({"tls_client_ca_file": certificate}, "tls_client_ca_file"),
    ):
        config = Config(storage_url="memory://", **{name: str(path) for name, path in settings.items()})  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument) as refused:
            build_application(driver, Learner(), config)
        assert refused.value.fields[0].field == wrong


async def test_other_machines_need_tls_and_to_be_known(
    serve: Serve, driver: Driver, folder: Path, ca_file: Path
) -> None:
    callers = Callers(folder)
    with pytest.raises(InvalidArgument, match=r"lacks to know who calls.*--insecure"):
        async with serve("0.0.0.0:0"):
            pass
    plain = build_application(driver, Learner(), Config(storage_url="memory://", tokens_file=str(callers.path)))
    with pytest.raises(InvalidArgument, match=r"lacks TLS.*--insecure"):
        async with serving(plain, ["0.0.0.0:0"]):
            pass
    async with serve("0.0.0.0:0", tokens_file=str(callers.path)), serve("0.0.0.0:0", tls_client_ca_file=str(ca_file)):
        pass


async def test_the_python_client_speaks_tls_and_shows_its_certificate(
    serve: Serve, authority: Authority, ca_file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = Callers(folder)
    certificate, key = authority.write(folder, "client", "spiffe://example.org/agent")
    async with serve(tls_client_ca_file=str(ca_file), tokens_file=str(callers.path)) as address:
        files = {"ca_file": ca_file, "certificate_file": certificate, "key_file": key}
        async with AsyncMemoryClient(f"tls://{address}", token=callers.token(), **files) as client:
            await client.user("sarah").memories.add("Skis")
        async with AsyncMemoryClient(address, token=callers.token(), **files) as client:
            assert len(await client.user("sarah").memories.list()) == 1
        monkeypatch.setenv("MEMSVC_TOKEN", callers.token())
        monkeypatch.setenv("MEMSVC_CA_FILE", str(ca_file))
        monkeypatch.setenv("MEMSVC_CLIENT_CERTIFICATE_FILE", str(certificate))
        monkeypatch.setenv("MEMSVC_CLIENT_KEY_FILE", str(key))
        async with AsyncMemoryClient(f"tls://{address}") as client:
            assert len(await client.user("sarah").memories.list()) == 1
        monkeypatch.delenv("MEMSVC_CLIENT_CERTIFICATE_FILE")
        with pytest.raises(ValueError, match="go together"):
            AsyncMemoryClient(f"tls://{address}")
        async with AsyncMemoryClient(address, timeout_seconds=1) as client:
            with pytest.raises(MemoryServiceError):
                await client.server_info()
