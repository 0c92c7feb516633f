"""`memsvc ui`: the page to see and manage memories, on a port of one's own, of a server wherever it is."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from typing import Any

import click
import msgspec

from memsvc.cli.answering import Answerer
from memsvc.cli.parameters import target_option
from memsvc.cli.settings import SettingType, configuration
from memsvc.errors import Error, invalid
from memsvc.storage.options import File


@click.command()
@target_option
@click.option("--listen", default="127.0.0.1:7434", show_default=True, help="Where a browser finds the page.")
@click.option("--config", "config_file", default=None, type=SettingType(File), help="A TOML file with settings.")
def ui(target: str, listen: str, config_file: str | None) -> None:
    """Serve the page to see and manage memories, until Ctrl-C, and print where it is.

    What the page asks is relayed to the server at --target, with the token that is typed into it. For a server that
    speaks TLS write tls:// before its host. A server with --http-listen serves the page by itself, under /ui/.

    The address that is printed has a secret in it, another one each time: who does not know it, another user of this
    machine say, is served nothing.

    With OPENAI_API_KEY (and MEMSVC_OPENAI_MODEL, MEMSVC_OPENAI_BASE_URL) set, a model answers in the page's chat.
    """
    config, _ = configuration(config_file, {})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(target, listen, Answering(Answerer(config), config.openai_model)))


async def _serve(target: str, listen: str, answering: Answering) -> None:
    import grpc

    from memsvc.config import Config
    from memsvc.http.port import Port
    from memsvc.http.relay import MAX_REQUEST_BYTES, RelayedEdge
    from memsvc.rpc.addresses import TcpAddress, parse_address
    from memsvc_client.channel import Endpoint

    address = parse_address(listen, lacks="TLS: it is for the browsers of this machine", setting="listen")
    if not isinstance(address, TcpAddress):
        raise invalid("listen", "must be host:port")
    try:
        # The page asks for a token: one of the environment would let in whoever reaches the port.
        there = Endpoint.of(target, "", None)
    except ValueError as error:
        raise invalid("target", str(error)) from error
    options = there.options
    if there.credentials is None:
        channel = grpc.aio.insecure_channel(there.target, options)
    else:
        channel = grpc.aio.secure_channel(there.target, there.credentials, options)
    secret = secrets.token_urlsafe(24)
    async with channel:
        port = Port(
            Config(max_request_bytes=MAX_REQUEST_BYTES),
            RelayedEdge(channel),
            {"/ui/model.json": answering.model},
            None,
            {"/ui/answer": answering.answer},
            secret,
        )
        await port.start(address)
        try:
            click.echo(f"http://{port.address}/{secret}/ui/")
            sys.stdout.flush()
            await _told_to_stop()
        finally:
            await port.drain(0.0)


class Answering:
    """The reader's own model, as the page asks for it."""

    def __init__(self, answerer: Answerer, name: str) -> None:
        self._answerer = answerer
        self._name = name if answerer.has_model else ""

    def model(self) -> tuple[int, str, bytes]:
        """Tell the page which model there is."""
        return 200, "application/json", msgspec.json.encode({"name": self._name})

    async def answer(self, exchange: Any, headers: Any) -> None:
        """Answer a conversation, given as `{"context": ..., "messages": [...]}` with the API's messages."""
        try:
            asked = msgspec.json.decode(await exchange.body.read(), type=_Asked)
            said = [{"role": role, "content": text} for role, text in map(_said, asked.messages) if text]
            body = {"text": await asyncio.to_thread(self._answerer.answer, asked.context, said)}
        except Error as error:
            body = {"error": error.message}
        except (msgspec.DecodeError, UnicodeError):
            body = {"error": "this is no conversation"}
        exchange.respond(200, {"Content-Type": "application/json", **headers}, msgspec.json.encode(body))
        await exchange.sent()


class _Text(msgspec.Struct):
    text: str = ""


class _Part(msgspec.Struct):
    text: _Text | None = None


class _Message(msgspec.Struct):
    role: str = ""
    parts: list[_Part] = []


class _Asked(msgspec.Struct):
    context: str = ""
    messages: list[_Message] = []


def _said(message: _Message) -> tuple[str, str]:
    """Return a message's role and text as a model's endpoint takes them; what tools were told is left out."""
    role = "assistant" if message.role == "ROLE_ASSISTANT" else "user"
    return role, "\n".join(part.text.text for part in message.parts if part.text is not None)


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
