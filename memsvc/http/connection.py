"""A connection: HTTP/1.1 by httptools on an asyncio transport.

Requests on one connection are answered one after the other. What is refused before it was read ends the connection, and
so does what is no HTTP: a parser that has lost its place must not guess where the next request begins. Nothing that a
client sends or leaves out may hold anything for long: heads have seconds, bodies wait for room, replies are read or cut
off.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote

import httptools

from memsvc.http.requests import Body, Head
from memsvc.log import Log

log = Log(__name__)

MAX_HEAD_BYTES: Final = 32 << 10
MAX_HEADERS: Final = 100
HEAD_SECONDS: Final = 10.0
"""From its first byte a head has so long, and a new connection to send one."""
IDLE_SECONDS: Final = 75.0
READ_SECONDS: Final = 30.0
"""A client that reads nothing of a reply for so long is gone."""
_LINGER_SECONDS: Final = 2.0
"""A refusal is followed by what the client still sends: closed at once, the refusal would be lost with it."""
_MAX_QUEUED: Final = 16
_WRITE_BUFFER_BYTES: Final = 64 << 10
_ONCE: Final = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "authorization", "origin", "transfer-encoding")
)
"""Headers that must not come twice: two readers would each believe another one."""

Headers: TypeAlias = Mapping[str, str]


class Answers(Protocol):
    """What a connection asks for answers."""

    max_body_bytes: int

    def answer(self, exchange: Exchange) -> asyncio.Task[None] | None:
        """Answer the exchange at once and return None, or in a task that is cancelled when the client goes."""

    def bad_request(self, status: int, message: str) -> tuple[Headers, bytes]:
        """Return headers and body for what is no request that can be understood."""


class Exchange:
    """One request and its reply."""

    def __init__(self, connection: Connection, head: Head, body: Body) -> None:
        self.head = head
        self.body = body
        self.peer = connection.peer
        self.certificate_names = connection.certificate_names
        self.status = 0
        """Of the reply, once it has begun."""
        self._connection = connection
        self._has_ended = False

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a reply as a whole."""
        if self.status:
            return
        self.status = status
        has_body = status >= 200 and status not in (204, 304)
        lengths = {"Content-Length": str(len(body))} if has_body else {}
        start = self._connection.head_of(status, {**headers, **lengths}, self._keeps_alive())
        self._connection.send(start if self.head.method == "HEAD" else start + body)
        self._connection.ended(self)

    def begin(self, headers: Headers) -> None:
        """Begin a reply in chunks."""
        self.status = 200
        with_chunks = {**headers, "Transfer-Encoding": "chunked"}
        self._connection.send(self._connection.head_of(200, with_chunks, self._keeps_alive()))

    def chunk(self, data: bytes) -> None:
        """Send the next piece; one that was still being made when the reply ended is dropped."""
        if not self._has_ended:
            self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """No more pieces."""
        self._has_ended = True
        self._connection.send(b"0\r\n\r\n")
        self._connection.ended(self)

    async def sent(self) -> None:
        """Return once the client has taken most of what was sent."""
        await self._connection.sent()

    def _keeps_alive(self) -> bool:
        return self.head.keeps_alive and self.body.is_complete and not self._connection.is_closing


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(
        self, answers: Answers, opened: Callable[[Connection], bool], closed: Callable[[Connection], None]
    ) -> None:
        """`opened` says whether there is room for one more."""
        self.peer = ""
        self.certificate_names: Mapping[str, Sequence[bytes]] = {}
        """The alternative names in the client's certificate, which TLS has verified, by kind: URI, DNS and others."""
        self.deadline: float | None = None
        """When the connection is given up, on the loop's clock."""
        self.is_closing = False
        """No further request is taken on it."""
        self.transport: Any = None
        self._answers = answers
        self._opened, self._closed = opened, closed
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[Exchange] = deque()
        self._unread: asyncio.Future[None] | None = None
        self._lingers = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = self._header_count = self._header_bytes = 0
        self._incoming: Body | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked, and nothing answered."""
        return self._exchange is None and not self._head_bytes and not self._lingers

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self.peer = _peer(transport)
        certificate = transport.get_extra_info("peercert") or {}
        names = certificate.get("subjectAltName", ())
        self.certificate_names = {kind: [name.encode() for of, name in names if of == kind] for kind, _ in names}
        self.deadline = self._loop.time() + HEAD_SECONDS
        if not self._opened(self):
            self.fail(503, "too many connections")

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closing = True
        self._closed(self)
        if self._unread is not None and not self._unread.done():
            self._unread.set_result(None)
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()

    def pause_writing(self) -> None:
        self._unread = self._loop.create_future()
        self.deadline = self._loop.time() + READ_SECONDS

    def resume_writing(self) -> None:
        self.deadline = None if self._exchange is not None else self._loop.time() + IDLE_SECONDS
        if self._unread is not None and not self._unread.done():
            self._unread.set_result(None)
        self._unread = None
        self._next()

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        if self._exchange is None and not self._head_bytes:
            self.deadline = self._loop.time() + HEAD_SECONDS
        body = self._incoming
        size = 0 if body is None else body.size
        # What does not end, be it a name, a value or a trailer, calls nobody back: so all that is no body counts.
        self._head_bytes += len(data)
        wrong = self._fed(data)
        # Only now: most requests are here as a whole, and are answered without an end to their connection.
        self._next()
        if wrong is None and self._incoming is not None and (body is not self._incoming or body.size > size):
            self._head_bytes = 0
        if wrong is None and self._head_bytes > MAX_HEAD_BYTES:
            wrong = _BadRequest(431, f"the head is larger than {MAX_HEAD_BYTES} bytes")
        if wrong is not None:
            self.fail(wrong.status, wrong.message)

    def _fed(self, data: bytes) -> _BadRequest | None:
        """Parse what came; return what is wrong with it."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return _BadRequest(501, "no upgrades, no tunnels")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, _BadRequest):
                return cause
            log.error("request_failed", cause)
            return _BadRequest(500, "internal error")
        except httptools.HttpParserInvalidMethodError:
            return _BadRequest(501, "no such method")
        except httptools.HttpParserError:
            return _BadRequest(400, "this is no HTTP/1.1 request")
        return None

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._url, self._headers, self._header_count, self._header_bytes = b"", {}, 0, 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > MAX_HEAD_BYTES:
            raise _BadRequest(414, f"the path is longer than {MAX_HEAD_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_count > MAX_HEADERS or self._header_bytes > MAX_HEAD_BYTES:
            raise _BadRequest(431, f"more than {MAX_HEADERS} headers, or {MAX_HEAD_BYTES} bytes of them")
        if self._incoming is not None:
            # A trailer: nobody asks for one.
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in self._headers:
            if key in _ONCE:
                raise _BadRequest(400, f"{key} is given twice")
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise _BadRequest(505, "HTTP/1.1 is spoken here")
        headers = self._headers
        if version == "1.1" and "host" not in headers:
            raise _BadRequest(400, "host is missing")
        coding = headers.get("transfer-encoding")
        if coding is not None and (coding.strip().lower() != "chunked" or version == "1.0"):
            raise _BadRequest(501, "transfer-encoding must be chunked")
        if self._parser.should_upgrade():
            raise _BadRequest(501, "no upgrades, no tunnels")
        expect = headers.get("expect")
        if expect is not None and expect.lower() != "100-continue":
            raise _BadRequest(417, "expect must be 100-continue")
        if len(self._queue) >= _MAX_QUEUED:
            raise _BadRequest(503, f"more than {_MAX_QUEUED} requests wait on this connection")
        path, query = _parts(self._url)
        method = self._parser.get_method().decode("latin-1")
        head = Head(method, path, query, headers, version, version == "1.1" and self._parser.should_keep_alive())
        body = Body(
            self._answers.max_body_bytes,
            int(headers.get("content-length", 0)),
            hold=self._hold,
            go_on=self._go_on,
            expect=self._continue if expect is not None and version == "1.1" else None,
        )
        if coding is None and not int(headers.get("content-length", 0)):
            body.end()
        self._incoming = body
        self._queue.append(Exchange(self, head, body))

    def on_body(self, chunk: bytes) -> None:
        if self._incoming is not None:
            self._incoming.feed(chunk)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        body, self._incoming = self._incoming, None
        if body is not None:
            body.end()

    def _next(self) -> None:
        """Answer the next request of those that came."""
        while self._queue and self._exchange is None and self._unread is None and not self.transport.is_closing():
            exchange = self._exchange = self._queue.popleft()
            self.deadline = None
            self._task = self._answers.answer(exchange)

    def ended(self, exchange: Exchange) -> None:
        """The reply to this exchange was sent."""
        if exchange is not self._exchange:
            return
        self._exchange = self._task = None
        if self._unread is None:
            self.deadline = self._loop.time() + IDLE_SECONDS
        if not exchange.body.is_complete:
            self._linger()
        elif not exchange.head.keeps_alive or (self.is_closing and not self._queue):
            self.close()
        else:
            self._next()

    def close(self) -> None:
        """Send what is left, and close."""
        self.is_closing = True
        if self.transport is not None:
            self.transport.close()

    def close_when_idle(self) -> None:
        """Take no further request."""
        self.is_closing = True
        if self.is_idle:
            self.close()

    def overdue(self) -> None:
        """The deadline has passed."""
        if self._exchange is None and self._head_bytes and not self._lingers:
            self.fail(408, f"the head did not come within {HEAD_SECONDS:g} s")
        elif self._unread is not None or self._lingers:
            self.transport.abort()
        else:
            self.close()

    def fail(self, status: int, message: str) -> None:
        """Say what is wrong with what came, unless something is being answered; then close."""
        if self._lingers or self.transport is None:
            return
        self.is_closing = True
        if self._exchange is None:
            headers, body = self._answers.bad_request(status, message)
            start = self.head_of(status, {**headers, "Content-Length": str(len(body))}, keeps_alive=False)
            self.send(start + body)
            self._linger()
        elif self._exchange.body.is_complete:
            # What is being answered goes on; what comes after it is not understood.
            if self._queue and not self._queue[-1].body.is_complete:
                self._queue.pop()
            self._hold()
        else:
            headers, body = self._answers.bad_request(status, message)
            exchange, task = self._exchange, self._task
            if exchange.status:
                self.transport.abort()
                return
            if task is not None:
                task.cancel()
            exchange.respond(status, headers, body)

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    async def sent(self) -> None:
        if self._unread is not None:
            await asyncio.shield(self._unread)

    def head_of(self, status: int, headers: Headers, keeps_alive: bool) -> bytes:
        """Return the first lines of a reply."""
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", f"Date: {_date()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not keeps_alive:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def _linger(self) -> None:
        """Send what there is, then take what comes for a moment without looking at it, and close."""
        self.is_closing = self._lingers = True
        self._incoming = None
        self._go_on()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.deadline = self._loop.time() + _LINGER_SECONDS
        else:
            self.transport.close()

    def _hold(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _continue(self) -> None:
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")


class _BadRequest(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


def _parts(url: bytes) -> tuple[str, str]:
    """Return path and query of what was asked for; of a whole URL, as proxies are sent, too."""
    try:
        parsed = httptools.parse_url(url)
        path, query = parsed.path or b"/", parsed.query or b""
        return unquote(path.decode("ascii"), errors="strict"), query.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise _BadRequest(400, "the path is no URL's") from None


def _peer(transport: Any) -> str:
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unix:"
    return f"ipv6:[{name[0]}]:{name[1]}" if ":" in name[0] else f"ipv4:{name[0]}:{name[1]}"


def _phrase(status: int) -> str:
    known = _PHRASES.get(status)
    if known is None:
        known = _PHRASES[status] = "Client Closed Request" if status == 499 else HTTPStatus(status).phrase
    return known


_PHRASES: dict[int, str] = {}


def _date() -> str:
    now = int(time.time())
    if now != _last_date[0]:
        _last_date[:] = now, email.utils.formatdate(now, usegmt=True)
    return str(_last_date[1])


_last_date: list[Any] = [0, ""]
