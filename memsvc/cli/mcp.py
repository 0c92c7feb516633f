"""`memsvc mcp`: memory for hosts that speak the Model Context Protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from memsvc.cli.parameters import TextType, name_option
from memsvc.cli.settings import FileType, server_options
from memsvc.errors import invalid
from memsvc.log import start_logging
from memsvc.rpc.addresses import TcpAddress, parse_address

_FACES = ("memory", "server-memory")
_AGENT = "mcp"


@click.command()
@server_options
@click.option(
    "--token",
    default=None,
    envvar="MEMSVC_TOKEN",
    type=TextType(),
    show_envvar=True,
    help="What memsvc knows this process by.",
)
@name_option("--namespace", help="Whose namespace. Default: the token's, else default.")
@name_option("--user", "user_id", show_default="me, or the token's", help="Whose memory.")
@click.option(
    "--agent",
    "agent_id",
    default=_AGENT,
    type=TextType(),
    show_default=True,
    help="The agent that what is written comes from.",
)
@click.option(
    "--as",
    "face",
    type=click.Choice(_FACES),
    default=_FACES[0],
    show_default=True,
    help="What hosts see: memsvc's own tools, or those of @modelcontextprotocol/server-memory.",
)
@click.option("--read-only", is_flag=True, help="Offer no tool that changes anything.")
@click.option(
    "--mode",
    type=click.Choice(("agentic", "configured")),
    default="agentic",
    show_default=True,
    help="Whether the host's model may change memory: it may, or as the namespace is configured.",
)
@click.option("--listen", default="", metavar="HOST:PORT", help="Serve streamable HTTP at /mcp. Default: stdio.")
@click.option(
    "--tokens-file",
    envvar="MEMSVC_MCP_TOKENS_FILE",
    show_envvar=True,
    type=FileType(),
    help="Who may come over HTTP, as `memsvc token create` writes it: each token names one user.",
)
@click.option("--tls-certificate-file", type=FileType(), help="For https, in PEM.")
@click.option("--tls-key-file", type=FileType(), help="Its key.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name that proxies address it by. Repeatable.")
@click.option("--insecure", is_flag=True, help="Listen for other machines without TLS, or without tokens.")
@click.option(
    "--log-level", default="INFO", show_default=True, type=click.Choice(("DEBUG", "INFO", "WARNING", "ERROR"))
)
def mcp(
    *,
    target: str,
    path: str,
    token: str | None,
    namespace: str,
    user_id: str,
    agent_id: str,
    face: str,
    read_only: bool,
    mode: str,
    listen: str,
    tokens_file: str | None,
    tls_certificate_file: str | None,
    tls_key_file: str | None,
    hosts: tuple[str, ...],
    insecure: bool,
    log_level: str,
) -> None:
    """Serve memory to Claude, Cursor, VS Code and other hosts of the Model Context Protocol.

    Over stdio, for the host that starts it; or over streamable HTTP, where each token of --tokens-file names the one
    user whose memory it opens. Which user it is, no argument of a model can say.
    """
    start_logging(log_level, "text")
    if not listen and (tokens_file or tls_certificate_file or hosts):
        raise click.UsageError("--tokens-file, --tls-certificate-file and --host are for --listen")
    if bool(tls_certificate_file) != bool(tls_key_file):
        raise click.UsageError("--tls-certificate-file and --tls-key-file go together")
    from memsvc.mcp.transports import HTTPListener, over_http, over_stdio
    from memsvc.mcp.whose import Tokens, Whose, fixed, of_token

    tokens = Tokens(tokens_file, namespace=namespace, user_id=user_id, read_only=read_only) if tokens_file else None
    whose_of = of_token if tokens is not None else fixed(Whose(namespace, user_id or "me", not read_only))
    address = _address(listen, bool(tls_certificate_file), bool(tokens_file), insecure) if listen else None

    async def serve() -> None:
        from memsvc.mcp.serving import Connections, server

        connections = Connections(_connecting(target, path, token), agent_id)
        serving = server(_face(face, mode), whose_of, connections)
        try:
            if address is None:
                await over_stdio(serving)
            else:
                listener = HTTPListener(
                    address=address,
                    tokens=tokens,
                    certificate_file=tls_certificate_file or "",
                    key_file=tls_key_file or "",
                    hosts=hosts,
                )
                await over_http(serving, listener)
        finally:
            await connections.close()

    asyncio.run(serve())


def _face(name: str, mode: str) -> Any:
    if name == "server-memory":
        from memsvc.mcp.graph import GraphFace

        return GraphFace()
    from memsvc.mcp.memory import MemoryFace

    return MemoryFace({"mode": "agentic"} if mode == "agentic" else None)


def _connecting(target: str, path: str, token: str | None) -> Any:
    from memsvc_client import AsyncMemoryClient

    def connect(namespace: str) -> AsyncMemoryClient:
        if target:
            return AsyncMemoryClient(target, namespace=namespace, token=token)
        return AsyncMemoryClient.local(path, namespace=namespace)

    if target:
        # Says at once what is wrong with it.
        connect("")
    return connect


def _address(listen: str, has_tls: bool, has_tokens: bool, insecure: bool) -> TcpAddress:
    lacking = " and ".join([*([] if has_tls else ["TLS"]), *([] if has_tokens else ["tokens"])])
    address = parse_address(listen, insecure=insecure, lacks=lacking)
    if not isinstance(address, TcpAddress):
        raise invalid("listen", "must be host:port")
    return address
