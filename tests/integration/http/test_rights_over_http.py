"""Tokens, the table of rights and TLS hold on the operator's port as they do over gRPC."""

from __future__ import annotations

import asyncio
import itertools
import json
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
from tests.certificates import Authority
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
