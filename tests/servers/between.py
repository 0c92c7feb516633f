"""What stands between memsvc and a Postgres: PgBouncer, which pools, and HAProxy, which follows the leader."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Mapping, Sequence

from tests.servers.postgres import unprivileged_user
from tests.servers.process import DatabaseServer, ServerMissing

_PROGRAM_FOLDERS = "/usr/sbin:/usr/local/sbin"


class PgBouncer(DatabaseServer):
    """Lends a server's connection to each transaction. `settings` are lines of pgbouncer.ini."""

    title = "PgBouncer"

    def __init__(self, server_port: int, settings: Mapping[str, str] | None = None) -> None:
        self._binary = program("pgbouncer", self.title)
        self._settings = settings or {}
        self.user = unprivileged_user()
        super().__init__()
        (self.folder / "users.txt").write_text('"postgres" ""\n')
        self.point_to(server_port)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?pgbouncer=true"

    def point_to(self, server_port: int) -> None:
        """Lead to the server at this port, from the next transaction on."""
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(self.folder / "users.txt"),
            "admin_users": "postgres",
            "pool_mode": "transaction",
            # A server that could not be reached is tried again after so many seconds: 15 unless it is set.
            "server_login_retry": "1",
            **self._settings,
        }
        lines = ["[databases]", f"postgres = host=127.0.0.1 port={server_port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def command(self) -> Sequence[str]:
        return [self._binary, str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        return accepts(self.port)


class HAProxy(DatabaseServer):
    """Leads to whichever server says, at its other port, that it is Patroni's primary."""

    title = "HAProxy"

    def __init__(self, servers: Mapping[str, tuple[int, int]]) -> None:
        """`servers` are each one's port, and the port of its Patroni, by name."""
        self._binary = program("haproxy", self.title)
        self.user = unprivileged_user()
        super().__init__()
        lines = [
            "defaults",
            "  mode tcp",
            "  retries 2",
            "  timeout connect 2s",
            "  timeout check 2s",
            "  timeout client 30m",
            "  timeout server 30m",
            "listen primary",
            f"  bind 127.0.0.1:{self.port}",
            "  option httpchk OPTIONS /primary",
            "  http-check expect status 200",
            "  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions",
            *(
                f"  server {name} 127.0.0.1:{port} check port {rest_port}"
                for name, (port, rest_port) in servers.items()
            ),
        ]
        (self.folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def command(self) -> Sequence[str]:
        return [self._binary, "-db", "-f", str(self.folder / "haproxy.cfg")]

    def answers(self) -> bool:
        return accepts(self.port)


def accepts(port: int) -> bool:
    """Say whether somebody listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def program(name: str, title: str, package: str = "") -> str:
    """Return a program of one of Debian's packages. Raises ServerMissing."""
    found = shutil.which(name) or shutil.which(name, path=_PROGRAM_FOLDERS)
    if found is None:
        raise ServerMissing(f"{title}: no {name} found; install Debian's {package or name}")
    return found
