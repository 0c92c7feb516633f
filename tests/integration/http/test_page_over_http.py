"""The page as it is served, beside the API."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from memsvc.http.page_files import POLICY
from memsvc.storage.driver import Driver
from tests.integration.http.http_harness import HttpHarness, served_http

TYPES = {
    "/ui/": "text/html; charset=utf-8",
    "/ui/index.html": "text/html; charset=utf-8",
    "/ui/main.js": "text/javascript; charset=utf-8",
    "/ui/style.css": "text/css; charset=utf-8",
    "/ui/icon.svg": "image/svg+xml",
}


@pytest.mark.parametrize(("path", "kind"), TYPES.items())
async def test_files_come_with_their_type_and_a_policy(http: HttpHarness, path: str, kind: str) -> None:
    reply = await http.ask("GET", path)

    assert reply.status == 200
    assert reply.headers["content-type"] == kind
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.body


async def test_what_a_browser_holds_is_not_sent_again(http: HttpHarness) -> None:
    first = await http.ask("GET", "/ui/main.js")
    tag = first.headers["etag"]

    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await http.ask("GET", "/ui/main.js", headers={"If-None-Match": held})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await http.ask("GET", "/ui/main.js", headers={"If-None-Match": '"other"'})).status == 200


async def test_files_are_packed_for_those_who_unpack_them(http: HttpHarness) -> None:
    plain = await http.ask("GET", "/ui/main.js")
    packed = await http.ask("GET", "/ui/main.js", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = await http.ask("GET", "/ui/main.js", headers={"Accept-Encoding": "gzip;q=0"})

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == refused.body
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    assert (await http.ask("GET", "/ui/main.js", headers=again)).status == 304


async def test_a_head_has_no_body(http: HttpHarness) -> None:
    reply = await http.ask("HEAD", "/ui/")

    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 100


async def test_the_root_leads_to_the_page(http: HttpHarness) -> None:
    for path in ("/", "/ui"):
        reply = await http.ask("GET", path)
        assert (reply.status, reply.headers["location"]) == (308, "ui/")


@pytest.mark.parametrize("path", ["/ui/no.js", "/ui/../port.py", "/ui/%2e%2e/port.py", "/ui//etc/passwd", "/uix"])
async def test_there_is_nothing_else(http: HttpHarness, path: str) -> None:
    assert (await http.ask("GET", path)).status == 404


async def test_nothing_is_sent_to_the_page_files(http: HttpHarness) -> None:
    reply = await http.ask("POST", "/ui/", b"{}")

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


async def test_a_name_that_is_not_the_servers_gets_no_page(http: HttpHarness) -> None:
    assert (await http.ask("GET", "/ui/", headers={"Host": "evil.example"})).status == 421


async def test_without_the_api_there_is_no_page(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder, http_api=False) as http:
        assert (await http.ask("GET", "/ui/")).status == 404
        assert (await http.ask("GET", "/")).status == 404
