"""Tokens, the table of rights and TLS hold on the operator's port as they do over gRPC."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
from pathlib import Path

import pytest

from memsvc.access.caller import Right
from memsvc.access.rights import NEEDS
from memsvc.access.tokens import Entry
from memsvc.errors import InvalidArgument
from memsvc.rpc.calling import Rpc
from memsvc.rpc.services import SERVICES, rpcs
from memsvc.storage.driver import Driver
from tests.certificates import Authority, replace
from tests.integration.http.http_harness import JSON, Client, HttpHarness, enveloped, messages_in, served_http
from tests.integration.rpc.callers import Callers

RPCS = [rpc for service in SERVICES for rpc in rpcs(service) if not rpc.converses]
"""Those that HTTP has: what streams both ways is for gRPC."""
RIGHTS = ("read", "write", "admin")
SUBSETS = [rights for count in range(4) for rights in itertools.combinations(RIGHTS, count)]
SCOPE = {"scope": {"userId": "sarah"}}
LIST = "MemoryService/ListMemories"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status_of(client: Client, rpc: Rpc, headers: dict[str, str]) -> int:
    """Call a method and return the HTTP status; of a refused stream that of its error."""
    path, request = f"/{rpc.service}/{rpc.name}", SCOPE if "scope" in rpc.request.DESCRIPTOR.fields_by_name else {}
    if not rpc.streams:
        return (await client.ask("POST", path, json.dumps(request).encode(), {**JSON, **headers})).status
    kind = {"Content-Type": "application/connect+json", "Connect-Timeout-Ms": "200"}
    reply = await client.ask("POST", path, enveloped(request), {**kind, **headers})
    code = messages_in(reply.body)[-1][1].get("error", {}).get("code")
    return {"unauthenticated": 401, "permission_denied": 403}.get(code, 200)


async def test_every_rpc_needs_its_right_and_no_other(driver: Driver, folder: Path) -> None:
    callers = Callers(folder)
    async with served_http(driver, folder, tokens_file=str(callers.path)) as http:
        tokens = {rights: callers.token(rights) for rights in SUBSETS if rights}
        client = await http.connect()
        for rpc in RPCS:
            need = NEEDS[f"{rpc.service.rpartition('.')[2]}/{rpc.name}"].right
            for rights in SUBSETS:
                headers = bearer(tokens[rights]) if rights else {}
                status = await status_of(client, rpc, headers)
                wanted = 401 if not rights else 403 if need and need not in rights else None
                assert status not in (401, 403) if wanted is None else status == wanted, f"{rpc.name} with {rights}"


async def test_who_is_not_known_learns_nothing_and_is_told_what_is_asked(driver: Driver, folder: Path) -> None:
    callers = Callers(folder)
    async with served_http(driver, folder, tokens_file=str(callers.path)) as http:
        nobody = await http.call(LIST, SCOPE)
        bound = callers.token(("read",), ("support",))
        elsewhere = await http.call(LIST, {"scope": {"namespace": "other", "userId": "x"}}, bearer(bound))
        own = await http.call(LIST, SCOPE, bearer(bound))
        health = await http.ask("GET", "/livez")

    assert (nobody.status, nobody.json["code"], nobody.headers["www-authenticate"]) == (
        401,
        "unauthenticated",
        "Bearer",
    )
    assert (elsewhere.status, elsewhere.reason) == (403, "PERMISSION_DENIED")
    assert (own.status, health.status) == (200, 200)


async def test_other_machines_need_what_grpc_needs(driver: Driver, folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="http_listen"):
        async with served_http(driver, folder, http_listen="0.0.0.0:0"):
            pass


async def test_the_port_speaks_tls_with_the_same_certificate(driver: Driver, folder: Path) -> None:
    authority = Authority()
    certificate, key = authority.write(folder, "server", "localhost", "127.0.0.1")
    files = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    async with served_http(driver, folder, **files) as http:
        trusting = ssl.create_default_context(cadata=authority.pem.decode())
        host, _, port = http.port.address.rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port), ssl=trusting, server_hostname="localhost"))
        http.clients.append(client)
        reply = await client.ask("POST", f"/memsvc.v1.{LIST}", json.dumps(SCOPE).encode(), JSON)
        plain = await _raw(http)

    assert reply.status == 200
    assert b"HTTP/1.1" not in plain


async def test_a_name_in_a_certificate_is_a_caller_as_it_is_over_grpc(driver: Driver, folder: Path) -> None:
    authority, callers = Authority(), Callers(folder)
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.write(folder, "server", "localhost", "127.0.0.1")
    files = {
        "tls_certificate_file": str(certificate),
        "tls_key_file": str(key),
        "tls_client_ca_file": f"{folder}/ca.pem",
    }
    bound = "spiffe://example.org/agents/*"
    callers.file.add(Entry(id="agents", certificate=bound, namespaces=["agents"], rights=[Right.READ]))
    statuses = {}
    async with served_http(driver, folder, tokens_file=str(callers.path), **files) as http:
        host, _, port = http.port.address.rpartition(":")
        for name in ("spiffe://example.org/agents/a", "spiffe://example.org/people/b", "example.org"):
            own = ssl.create_default_context(cadata=authority.pem.decode())
            own.load_cert_chain(*authority.write(folder, "client", name))
            client = Client(*await asyncio.open_connection(host, int(port), ssl=own, server_hostname="localhost"))
            http.clients.append(client)
            reply = await client.ask("POST", f"/memsvc.v1.{LIST}", json.dumps(SCOPE).encode(), JSON)
            statuses[name] = reply.status

    assert list(statuses.values()) == [200, 401, 401]


async def _raw(http: HttpHarness) -> bytes:
    try:
        return await http.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    except ConnectionError:
        return b""


async def test_the_user_of_a_socket_has_its_namespace_without_a_token_and_no_other(
    driver: Driver, folder: Path
) -> None:
    callers, statuses = Callers(folder), []
    callers.file.add(Entry(id="pod", socket_user=os.getuid(), namespaces=["team-7"], rights=[Right.READ]))
    settings = {"tokens_file": str(callers.path), "http_listen": f"unix://{folder}/http"}
    for asks in (True, False):
        async with served_http(driver, folder, socket_users=asks, **settings) as http:
            for namespace in ("team-7", "team-8"):
                client = Client(*await asyncio.open_unix_connection(f"{folder}/http"))
                http.clients.append(client)
                asked = json.dumps({"scope": {"namespace": namespace, "userId": "sarah"}}).encode()
                statuses.append((await client.ask("POST", f"/memsvc.v1.{LIST}", asked, JSON)).status)

    assert statuses == [200, 403, 401, 401]


async def test_who_it_was_is_forgotten_with_the_connection(driver: Driver, folder: Path) -> None:
    callers = Callers(folder)
    callers.file.add(Entry(id="pod", socket_user=os.getuid(), namespaces=["team-7"], rights=[Right.READ]))
    settings = {"tokens_file": str(callers.path), "http_listen": f"unix://{folder}/http", "socket_users": True}
    async with served_http(driver, folder, **settings) as http:
        client = Client(*await asyncio.open_unix_connection(f"{folder}/http"))
        assert (await client.ask("GET", "/livez")).status == 200
        users = http.rpc.edge.socket_users
        assert users is not None
        (known,) = users
        await client.close()
        async with asyncio.timeout(30):
            while known in users:
                await asyncio.sleep(0.01)


async def test_changed_certificates_are_shown_to_new_connections_and_no_call_fails(
    driver: Driver, folder: Path
) -> None:
    before, after, stopped, calls = Authority("before"), Authority("after"), asyncio.Event(), 0
    certificate, key = before.write(folder, "server", "localhost", "127.0.0.1")
    both = ssl.create_default_context(cadata=(before.pem + after.pem).decode())

    async def called(http: HttpHarness, trusted: ssl.SSLContext, *, standing: bool) -> None:
        """Call until told to stop: on one connection that stands, or on a new one each time."""
        nonlocal calls
        client = await secured(http, trusted)
        while not stopped.is_set():
            reply = await client.ask("POST", f"/memsvc.v1.{LIST}", json.dumps(SCOPE).encode(), JSON)
            assert reply.status == 200
            calls += 1
            if not standing:
                await client.close()
                client = await secured(http, trusted)

    async def more_calls() -> None:
        seen = calls
        while calls < seen + 20:
            await asyncio.sleep(0.01)

    files = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    async with served_http(driver, folder, **files) as http:
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            for standing in (True, True, False):
                group.create_task(called(http, both, standing=standing))
            for issuer in (before, after, before, after):
                pems = issuer.issue("localhost", "127.0.0.1")
                # Until the key follows, the pair does not fit, and what was there before is shown.
                for path, content in zip((certificate, key), pems, strict=True):
                    replace(path, content)
                    await more_calls()
            only_after = ssl.create_default_context(cadata=after.pem.decode())
            while True:
                # The files are looked at twice a second.
                try:
                    await (await secured(http, only_after)).close()
                    break
                except ssl.SSLCertVerificationError:
                    await more_calls()
            stopped.set()
        with pytest.raises(ssl.SSLCertVerificationError):
            await secured(http, ssl.create_default_context(cadata=before.pem.decode()))


async def test_a_client_ca_that_was_taken_out_of_its_file_is_trusted_no_more(driver: Driver, folder: Path) -> None:
    authority, former = Authority("server"), Authority("former")
    clients = folder / "clients.pem"
    clients.write_bytes(authority.pem + former.pem)
    certificate, key = authority.write(folder, "server", "localhost", "127.0.0.1")
    files = {
        "tls_certificate_file": str(certificate),
        "tls_key_file": str(key),
        "tls_client_ca_file": str(clients),
    }

    def shown(issuer: Authority, stem: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        context.load_cert_chain(*issuer.write(folder, stem, "agent.example"))
        return context

    async def is_let_in(http: HttpHarness, context: ssl.SSLContext) -> bool:
        try:
            return (await (await secured(http, context)).ask("GET", "/livez")).status == 200
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return False

    async with served_http(driver, folder, **files) as http:
        assert await is_let_in(http, shown(former, "former"))
        replace(clients, authority.pem)
        async with asyncio.timeout(60):
            while await is_let_in(http, shown(former, "former")):
                await asyncio.sleep(0.05)
        assert await is_let_in(http, shown(authority, "ours"))


async def secured(http: HttpHarness, trusted: ssl.SSLContext) -> Client:
    host, _, port = http.port.address.rpartition(":")
    client = Client(*await asyncio.open_connection(host, int(port), ssl=trusted, server_hostname="localhost"))
    http.clients.append(client)
    return client
