"""The page to see and manage memories, as its files are served: under /ui/, beside the API that it calls.

Whoever reaches the port may have the files: they hold nothing of anybody. What they show comes by calls of the API,
with the token that the reader gives them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from memsvc.http.connection import Exchange, Headers

ROOT: Final = "/ui/"
POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        # What is stored is text: nothing may be made into markup or script, not even by mistake.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What a browser lets the page do: call this server, and run no script but its files."""
_HEADERS: Final[Headers] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Kept, and asked for with each view: another version of the server has other files.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}


class _File(Struct, frozen=True):
    body: bytes
    headers: Headers


class _Forms(Struct, frozen=True):
    plain: _File
    packed: _File
    """By gzip, a third of the size: there is no secret in it whose length could tell."""


class PageFiles:
    """Answers requests for the page; it is read when it is first asked for."""

    def __init__(self) -> None:
        self._files: Mapping[str, _Forms] | None = None

    def has(self, path: str) -> bool:
        return path in ("/", ROOT[:-1]) or path.startswith(ROOT)

    def answer(self, exchange: Exchange) -> bool:
        """Answer a GET or HEAD; False: there is no such file."""
        head = exchange.head
        if not head.path.startswith(ROOT):
            # Relative: what is before it in the address, a secret say, stays.
            exchange.respond(308, {**_HEADERS, "Location": ROOT[1:]}, b"")
            return True
        if self._files is None:
            self._files = _read()
        forms = self._files.get(head.path.removeprefix(ROOT) or "index.html")
        if forms is None:
            return False
        file = forms.packed if _takes_gzip(head.headers.get("accept-encoding", "")) else forms.plain
        if _is_held(head.headers.get("if-none-match", ""), file.headers["ETag"]):
            exchange.respond(304, file.headers, b"")
        else:
            exchange.respond(200, file.headers, file.body)
        return True


def _read() -> Mapping[str, _Forms]:
    read = {}
    for entry in Path(__file__).with_name("page").iterdir():
        kind = _TYPES.get(entry.name.rpartition(".")[2])
        if kind is not None:
            body = entry.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:32]
            headers = {**_HEADERS, "Content-Type": kind}
            plain = _File(body, {**headers, "ETag": f'"{tag}"'})
            packed = gzip.compress(body, mtime=0)
            read[entry.name] = _Forms(
                plain, _File(packed, {**headers, "ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"})
            )
    return read


def _takes_gzip(accepted: str) -> bool:
    """Whether a client unpacks gzip, by its header Accept-Encoding."""
    for each in accepted.split(","):
        coding, _, quality = each.partition(";")
        if coding.strip().lower() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _is_held(asked: str, tag: str) -> bool:
    """Whether a client holds the file already, by its header If-None-Match."""
    return any(each.strip().removeprefix("W/") in ("*", tag) for each in asked.split(","))
