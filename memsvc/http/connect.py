"""The API as JSON over HTTP: Connect's protocol, so that curl, connect-web and `buf curl` speak it as they are.

    POST /memsvc.v1.MemoryService/GetMemory   Content-Type: application/json   {"scope": {"userId": "sarah"}, ...}
    GET  /memsvc.v1.MemoryService/GetMemory?encoding=json&message={...}        for what has no side effects

Streams are POSTs of `application/connect+json`, enveloped both ways. `proto` in the place of `json` is understood as
well. Each call goes through the same interceptors and servicers as over gRPC, and is refused with the same errors.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs

from memsvc.errors import Error, InvalidArgument, Reason, Unimplemented
from memsvc.http.calls import Form, HttpCall
from memsvc.http.connection import Exchange
from memsvc.http.errors import Refused, error_body, failed, http_status, out_of_time, refusal, retry_after_seconds
from memsvc.http.requests import Head
from memsvc.log import Log
from memsvc.rpc.admission import Admission
from memsvc.rpc.calling import begin_head
from memsvc.rpc.services import Method
from memsvc.rpc.status import WireStatus

log = Log(__name__)

JSON: Final = "application/json"
_FORMS: Final[Mapping[str, Form]] = {
    kind: Form("json" in kind, "connect+" in kind, kind)
    for kind in (JSON, "application/proto", "application/connect+json", "application/connect+proto")
}
_TIMEOUT: Final = re.compile(r"\d{1,10}")
_SAFE: Final = "GET, POST, OPTIONS"
_UNSAFE: Final = "POST, OPTIONS"


class Connect:
    """Answers calls of the API."""

    def __init__(self, methods: Iterable[Method], admitting: Admission) -> None:
        self._methods = {f"/{method.rpc.service}/{method.rpc.name}": method for method in methods}
        self._room = admitting.room

    def has(self, path: str) -> bool:
        """Whether a path looks like a method, of this API or another."""
        return path in self._methods or path.startswith("/memsvc.")

    def answer(self, exchange: Exchange, headers: Mapping[str, str]) -> asyncio.Task[None] | None:
        """Answer a call in a task of its own, or refuse it at once. `headers` are sent with every reply."""
        head = exchange.head
        method = self._methods.get(head.path)
        if method is None:
            status = refusal(Unimplemented(Reason.NOT_SUPPORTED, f"no method {head.path[:200]}")).status
            _respond_error(exchange, status, headers, as_status=404)
            return None
        if method.rpc.converses:
            because = Unimplemented(Reason.NOT_SUPPORTED, f"{method.rpc.name} streams both ways: call it by gRPC")
            _respond_error(exchange, refusal(because).status, headers, as_status=404)
            return None
        reads_by_url = head.method == "GET" and method.is_safe and not method.rpc.streams
        if head.method != "POST" and not reads_by_url:
            allowed = _SAFE if method.is_safe and not method.rpc.streams else _UNSAFE
            because = Unimplemented(Reason.NOT_SUPPORTED, f"{method.rpc.name} is called by {allowed.split(',')[0]}")
            _respond_error(exchange, refusal(because).status, {**headers, "Allow": allowed}, as_status=405)
            return None
        try:
            form = _FORMS[JSON] if reads_by_url else _form(head, method)
            call = HttpCall(method, form, exchange, _timeout_seconds(head))
            if reads_by_url:
                call = _call_by_url(method, exchange, head)
        except _WrongType as wrong:
            status = refusal(InvalidArgument(Reason.INVALID_FIELD, str(wrong))).status
            _respond_error(exchange, status, {**headers, "Accept-Post": wrong.accepted}, as_status=415)
            return None
        except Error as error:
            _respond_error(exchange, refusal(error).status, headers)
            return None
        run = self._stream if method.rpc.streams else self._unary
        return asyncio.get_running_loop().create_task(run(method, call, exchange, headers))

    async def _unary(self, method: Method, call: HttpCall, exchange: Exchange, headers: Mapping[str, str]) -> None:
        begin_head(call.invocation_metadata())
        try:
            async with asyncio.timeout(call.time_remaining()):
                reply = await method.handler(None, call)  # type: ignore[arg-type]
            body = await call.encoded(reply)
            task = asyncio.current_task()
            assert task is not None
            # What is sent may be longer than what it was made of.
            self._room.hold(task, max(0, len(body) - len(reply)))
        except Refused as refused:
            _respond_error(exchange, refused.status, headers)
        except TimeoutError:
            _respond_error(exchange, out_of_time().status, headers)
        except Error as error:
            _respond_error(exchange, refusal(error).status, headers)
        except Exception as error:
            log.error("call_failed", error, method=method.rpc.name)
            _respond_error(exchange, failed().status, headers)
        else:
            exchange.respond(200, {"Content-Type": call.content_type, **headers}, body)
        await exchange.sent()

    async def _stream(self, method: Method, call: HttpCall, exchange: Exchange, headers: Mapping[str, str]) -> None:
        begin_head(call.invocation_metadata())
        call.headers = headers
        try:
            async with asyncio.timeout(call.time_remaining()):
                await method.handler(None, call)  # type: ignore[arg-type]
        except Refused as refused:
            call.end(refused.status)
        except TimeoutError:
            call.end(out_of_time().status)
        except Error as error:
            call.end(refusal(error).status)
        except Exception as error:
            log.error("call_failed", error, method=method.rpc.name)
            call.end(failed().status)
        else:
            call.end()
        await exchange.sent()


class _WrongType(Exception):
    def __init__(self, message: str, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


def _form(head: Head, method: Method) -> Form:
    """Return how the call's messages are written, by its content type."""
    form = _FORMS.get(head.content_type())
    streams = method.rpc.streams
    if form is None or form.streams != streams:
        accepted = ", ".join(kind for kind, each in _FORMS.items() if each.streams == streams)
        raise _WrongType(f"content-type must be one of {accepted}", accepted)
    version = head.headers.get("connect-protocol-version", "1")
    if version != "1":
        raise InvalidArgument(Reason.INVALID_FIELD, 'connect-protocol-version must be "1"')
    coding = head.headers.get("connect-content-encoding" if streams else "content-encoding", "identity")
    if coding != "identity":
        raise Unimplemented(Reason.NOT_SUPPORTED, "no compression: send identity")
    return form


def _call_by_url(method: Method, exchange: Exchange, head: Head) -> HttpCall:
    """Return the call whose request stands in the URL."""
    try:
        given = {name: values[-1] for name, values in parse_qs(head.query, True, errors="strict").items()}
    except ValueError:
        raise InvalidArgument(Reason.INVALID_FIELD, "the query is no URL's") from None
    if given.get("connect", "v1") != "v1":
        raise InvalidArgument(Reason.INVALID_FIELD, 'connect must be "v1"')
    if given.get("compression", "identity") != "identity":
        raise Unimplemented(Reason.NOT_SUPPORTED, "no compression: send identity")
    encoding = given.get("encoding", "json")
    if encoding not in ("json", "proto"):
        raise _WrongType("encoding must be json or proto", JSON)
    message = given.get("message", "" if encoding == "proto" else "{}").encode()
    if given.get("base64") == "1":
        try:
            message = base64.b64decode(message + b"=" * (-len(message) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            raise InvalidArgument(Reason.INVALID_FIELD, "message is no base64") from None
    form = _FORMS[f"application/{encoding}"]
    return HttpCall(method, form, exchange, _timeout_seconds(head), message, is_generated="connect" in given)


def _timeout_seconds(head: Head) -> float | None:
    given = head.headers.get("connect-timeout-ms")
    if given is None:
        return None
    if not _TIMEOUT.fullmatch(given):
        raise InvalidArgument(Reason.INVALID_FIELD, "connect-timeout-ms must be a whole number of at most 10 digits")
    return int(given) / 1000


def _respond_error(
    exchange: Exchange, status: WireStatus, headers: Mapping[str, str], *, as_status: int | None = None
) -> None:
    more = dict(headers)
    seconds = retry_after_seconds(status)
    if seconds:
        more["Retry-After"] = str(seconds)
    if status.code.name == "UNAUTHENTICATED":
        more["WWW-Authenticate"] = "Bearer"
    if exchange.body.is_too_large:
        as_status = 413
    exchange.respond(as_status or http_status(status), {"Content-Type": JSON, **more}, error_body(status))
