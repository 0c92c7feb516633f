"""TLS and passwords, as the URL's parameters ask for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from postgres_stores import MakePostgres, place, refused

from memsvc.errors import InvalidArgument
from tests.servers.postgres import Postgres, unprivileged_user

pytestmark = pytest.mark.postgresql

PASSWORD = "correct horse/battery@staple"
QUOTED = "correct%20horse%2Fbattery%40staple"


async def test_tls_is_verified_as_asked(own_postgres: MakePostgres, tmp_path: Path) -> None:
    server = own_postgres()
    root, other = (_certificate(tmp_path / name) for name in ("root", "other"))
    _offer_tls(server, root)
    url = server.url.replace("127.0.0.1", "localhost")
    async with place(f"{url}?sslmode=verify-full&sslrootcert={root}.crt").opened() as driver:
        await driver.ping()
    async with place(f"{url}?sslmode=require").opened() as driver:
        await driver.ping()
    error = str(await refused(place(f"{url}?sslmode=verify-full&sslrootcert={other}.crt").connect()))
    assert "its certificate is not trusted" in error
    with pytest.raises(InvalidArgument, match="needs sslrootcert"):
        await place(f"{url}?sslmode=verify-full").connect().open()


async def test_a_password_is_asked_for_and_never_told(own_postgres: MakePostgres, tmp_path: Path) -> None:
    server = own_postgres()
    server.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON SCHEMA public TO app")
    (server.data / "pg_hba.conf").write_text(
        "host all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
    )
    server.sql("SELECT pg_reload_conf()")
    where = f"127.0.0.1:{server.port}/postgres"
    async with place(f"postgresql://app:{QUOTED}@{where}").opened() as driver:
        await driver.ping()
    passfile = tmp_path / "passfile"
    passfile.write_text(f"*:*:*:app:{PASSWORD}\n")
    os.chmod(passfile, 0o600)
    async with place(f"postgresql://app@{where}?passfile={passfile}").opened() as driver:
        await driver.ping()
    error = await refused(place(f"postgresql://app:wrong{QUOTED}@{where}").connect())
    assert "refused the password" in str(error)
    assert "horse" not in f"{error!r} {error.__cause__!r}"
    assert "no such database" in str(await refused(place(f"postgresql://app:{QUOTED}@{where}s").connect()))


def _certificate(path: Path) -> Path:
    """Make a certificate for localhost that vouches for itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", f"{path}.key", "-out", f"{path}.crt")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files)
    subprocess.run(command, check=True, capture_output=True)
    return path


def _offer_tls(server: Postgres, certificate: Path) -> None:
    for suffix in ("crt", "key"):
        file = server.data / f"server.{suffix}"
        shutil.copy(f"{certificate}.{suffix}", file)
        os.chmod(file, 0o600)
        if (user := unprivileged_user()) is not None:
            shutil.chown(file, user)
    server.configure(ssl="on")
