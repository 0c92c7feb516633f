"""What cases happen in: a server of memsvc on one transport, its model, a relay, a server that is scripted."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from memsvc.access.tokens import new_token, token_hash
from memsvc.testing.fake_model import understand
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply, operations
from tests.certificates import Authority
from tests.contract.relay import Relay
from tests.contract.scripted import ScriptedServer
from tests.servers.places import free_port
from tests.torture.process import Installation, Server

TRANSPORTS = ("unix", "tcp", "tls")
_PIECE_SECONDS = 0.005
"""What a piece of the model's answer takes: an extraction can be met in the middle, and is over soon."""
_PATIENCE = 10
"""How often half a minute is waited for a server."""
_SETTINGS = {
    "engine": "openai",
    "openai_model": "fake-model",
    "openai_api_key": "fake",
    "embedder": "none",
    "quiet_seconds": 0,
    "poll_seconds": 0.1,
    "lease_seconds": 1,
    "retry_seconds": 0.1,
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who may call, where the server asks."""

    all: str
    read_only: str

    @classmethod
    def write(cls, path: Path) -> Tokens:
        """Make tokens, and write the file that the server reads."""
        tokens = cls(new_token("all"), new_token("read"))
        lines = [_entry("all", tokens.all, "read", "write", "admin"), _entry("read", tokens.read_only, "read")]
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        return tokens


class World:
    """One server, which cases may kill, freeze and start again at the same address."""

    def __init__(self, transport: str, folder: Path) -> None:
        self.transport = transport
        self.folder = folder
        self._address = f"unix://{folder}/memsvc.sock" if transport == "unix" else f"127.0.0.1:{free_port()}"
        self._installation: Installation | None = None
        self._server: Server | None = None
        self._tokens: Tokens | None = None
        self._authority = Authority()
        self.relay = Relay(self._address, f"unix://{folder}/relay.sock" if transport == "unix" else "")
        self.scripted = ScriptedServer(f"unix://{folder}/scripted.sock" if transport == "unix" else "127.0.0.1:0")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        """Start all there is in it, and end it afterwards."""
        async with AsyncExitStack() as stack:
            fake = await stack.enter_async_context(FakeOpenAI(otherwise=_slowly))
            settings = {**_SETTINGS, "openai_base_url": fake.base_url}
            if self.transport == "tls":
                settings |= self._secured()
            self._installation = Installation(self.folder, f"sqlite:///{self.folder}/memsvc.db", settings)
            await self.relay.start()
            stack.push_async_callback(self.relay.stop)
            await self.scripted.start(self.certificate if self.transport == "tls" else None)
            stack.push_async_callback(self.scripted.stop)
            stack.push_async_callback(self._close)
            await self.start()
            yield self

    def connection(self, through: str = "") -> Mapping[str, Any]:
        """Return how a client connects to the server; `through` the relay, or to what is scripted."""
        if through == "scripted":
            target = self.scripted.target
        else:
            target = self.relay.target if through == "relay" else self._address
        if self.transport != "tls":
            return {"target": target}
        return {"target": f"tls://{target}", "token": self.names["server_token"], "caFile": self.names["ca_file"]}

    @property
    def names(self) -> Mapping[str, str]:
        """What cases may need of it, by name."""
        if self._tokens is None:
            return {"address": self._address}
        return {
            "address": self._address,
            "server_token": self._tokens.all,
            "read_token": self._tokens.read_only,
            "ca_file": str(self.folder / "ca.pem"),
            "other_ca_file": str(self.folder / "other-ca.pem"),
        }

    @cached_property
    def certificate(self) -> tuple[Path, Path]:
        """The server's certificate and its key."""
        return self._authority.write(self.folder, "server", "127.0.0.1", "localhost")

    async def start(self) -> None:
        """Start the server, if it does not run."""
        assert self._installation
        if self._server is not None:
            return
        self._server = await self._installation.launch(listen=[self._address])
        # The machine may be busy with other things: what is slow today is no failure of a client.
        for patience in reversed(range(_PATIENCE)):
            try:
                await self._server.ready()
            except TimeoutError:
                if not patience:
                    raise
            else:
                break

    async def kill(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.kill()

    async def _close(self) -> None:
        if self._server is not None:
            await self._server.close()

    def freeze(self) -> None:
        assert self._server
        self._server.freeze()

    def thaw(self) -> None:
        if self._server is not None:
            self._server.thaw()

    def _secured(self) -> dict[str, object]:
        certificate, key = self.certificate
        (self.folder / "ca.pem").write_bytes(self._authority.pem)
        (self.folder / "other-ca.pem").write_bytes(Authority("another").pem)
        self._tokens = Tokens.write(self.folder / "tokens")
        return {
            "tls_certificate_file": certificate,
            "tls_key_file": key,
            "tokens_file": self.folder / "tokens",
        }


@asynccontextmanager
async def world(transport: str) -> AsyncIterator[World]:
    """Open a world of its own, in a folder with a short name: a socket's path is not long."""
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        async with World(transport, Path(folder)).open() as opened:
            yield opened


def _slowly(request: Received) -> Reply:
    found = understand(str(request.json["messages"][-1]["content"]))
    return operations(*found, piece_characters=8, delay_seconds=_PIECE_SECONDS)


def _entry(entry_id: str, token: str, *rights: str) -> str:
    entry = {"id": entry_id, "token_sha256": token_hash(token), "namespaces": ["*"], "rights": list(rights)}
    return json.dumps(entry)
