"""FerretDB, which speaks MongoDB's protocol and keeps its data in SQLite; built once from source, and kept."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.servers.go_tools import cached_program, go_program
from tests.servers.process import DatabaseServer

_SOURCES = Path(__file__).parent / "ferretdb"


class FerretDB(DatabaseServer):
    """One server; each database is a file of its own."""

    title = "FerretDB"

    def __init__(self) -> None:
        self._binary = binary()
        super().__init__()
        self.data = self.folder / "data"
        self.data.mkdir()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/memsvc"

    def command(self) -> Sequence[str]:
        return [str(self._binary), "-listen", f"127.0.0.1:{self.port}", "-dir", str(self.data)]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


def binary() -> Path:
    """Return the server's program; the first time it is built, which takes a minute or two. Raises ServerMissing."""
    return go_program(FerretDB.title, _SOURCES)


def cached_binary() -> Path:
    """Return where it is once it is built."""
    return cached_program(FerretDB.title, _SOURCES)
