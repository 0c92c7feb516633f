"""`memsvc token`: make, list and revoke tokens, and other ways to know who calls."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from memsvc.cli.parameters import TextType
from memsvc.cli.settings import configuration, option_values, settings_options
from memsvc.errors import InvalidArgument, invalid

_SPANS: Final = {"m": 60, "h": 3600, "d": 24 * 3600}


class _NamesType(TextType):
    """Names with commas between them. None at all is an unset variable of the shell: it would stand for everything."""

    def __init__(self, *known: str) -> None:
        """`known`: all that there are; none: any."""
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = super().convert(value, param, ctx)
        names = _split([text])
        if not names:
            self.fail("must not be empty", param, ctx)
        for name in names:
            if self._known and name not in self._known:
                self.fail(f"must be of {', '.join(self._known)}, not {name!r}", param, ctx)
        return text


def _described(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a caller may do."""
    for option in (
        click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Such as calls_per_second=50."),
        click.option("--expires-in", default=None, metavar="SPAN", help="Such as 90d, 12h or 30m. Default: never."),
        click.option("--actor", default="", help="What commits and the log call this caller. Default: the id."),
        click.option("--id", "entry_id", default="", help="What names the line. Default: made."),
        click.option(
            "--users",
            multiple=True,
            type=_NamesType(),
            help='Which users: "cust-*". Repeatable, or with commas. Default: all.',
        ),
        click.option(
            "--rights",
            multiple=True,
            required=True,
            type=_NamesType("read", "write", "admin"),
            help="Of read, write and admin, with commas.",
        ),
        click.option(
            "--namespace",
            "namespaces",
            multiple=True,
            required=True,
            type=_NamesType(),
            help="Where. Repeatable; * is any.",
        ),
    ):
        function = option(function)
    return settings_options("tokens_file")(function)


@click.group()
def token() -> None:
    """Make, list and revoke tokens, and bind certificates and sockets' users to namespaces.

    They are kept in a file that a server reads at once: `memsvc serve --tokens-file FILE`.
    """


@token.command()
@_described
def create(config_file: str | None, tokens_file: str | None, **described: Any) -> None:
    """Print a new token: it is shown this once, and the file keeps a hash of it."""
    from memsvc.access.tokens import new_token, new_token_id, token_hash

    path = _path(config_file, tokens_file)
    entry_id = described.pop("entry_id") or new_token_id()
    made = new_token(entry_id)
    _add(path, described, id=entry_id, token_sha256=token_hash(made))
    click.echo(made)


@token.command()
@click.option("--certificate", default=None, help="A name in clients' certificates: spiffe://example.org/agents/*.")
@click.option("--socket-user", default=None, type=int, help="The user id of processes at a unix socket.")
@_described
def bind(
    config_file: str | None, tokens_file: str | None, certificate: str | None, socket_user: int | None, **described: Any
) -> None:
    """Let those in who have a certificate of this name, or are this user of the machine."""
    from memsvc.access.tokens import new_token_id

    if (certificate is None) == (socket_user is None):
        raise click.UsageError("name a certificate or a socket's user")
    path = _path(config_file, tokens_file)
    entry_id = described.pop("entry_id") or new_token_id()
    _add(path, described, id=entry_id, certificate=certificate, socket_user=socket_user)
    click.echo(entry_id)


@token.command("list")
@settings_options("tokens_file")
def list_entries(config_file: str | None, tokens_file: str | None) -> None:
    """List who may call."""
    from memsvc.access.token_file import TokenFile

    file = TokenFile(_path(config_file, tokens_file))
    for number, entry in file.lines():
        if isinstance(entry, InvalidArgument):
            click.echo(f"{file.path}: line {number} is ignored: {entry.message}", err=True)
            continue
        way = entry.certificate or ("token" if entry.token_sha256 else f"socket user {entry.socket_user}")
        ends = ""
        if entry.expire_time is not None:
            is_over = entry.expire_time <= datetime.now(UTC)
            ends = f"{'expired' if is_over else 'until'} {entry.expire_time.astimezone(UTC):%Y-%m-%d %H:%M}Z"
        users = ",".join(entry.users) or "all users"
        rights, namespaces = ",".join(entry.rights), ",".join(entry.namespaces)
        click.echo("  ".join(filter(None, (entry.id, entry.actor, way, namespaces, users, rights, ends))))


@token.command()
@click.argument("ids", nargs=-1, required=True)
@settings_options("tokens_file")
def revoke(ids: tuple[str, ...], config_file: str | None, tokens_file: str | None) -> None:
    """Let nobody in by these ids any more: the next call is refused, open streams end within a second."""
    from memsvc.access.token_file import TokenFile

    TokenFile(_path(config_file, tokens_file)).remove(ids)
    click.echo(f"revoked {', '.join(ids)}")


def _path(config_file: str | None, tokens_file: str | None) -> Path:
    """Return the file that is meant: as for a server, or one beside the default database."""
    from memsvc.config import data_folder

    config, _ = configuration(config_file, {"tokens_file": tokens_file})
    return Path(config.tokens_file) if config.tokens_file else data_folder(os.environ, "tokens_file") / "tokens"


def _add(path: Path, described: Mapping[str, Any], **known_by: Any) -> None:
    from memsvc.access.token_file import TokenFile
    from memsvc.access.tokens import Entry

    limits = option_values(described["limits"])
    now = datetime.now(UTC).replace(microsecond=0)
    ends = described["expires_in"]
    values = {
        **known_by,
        "actor": described["actor"],
        "namespaces": _split(described["namespaces"]),
        "rights": _split(described["rights"]),
        "users": _split(described["users"]),
        "create_time": now,
        "expire_time": now + _span(ends) if ends is not None else None,
        **({"limits": limits} if limits else {}),
    }
    try:
        entry = msgspec.convert(values, Entry, strict=False)
    except msgspec.ValidationError as error:
        raise invalid("token", str(error)) from error
    TokenFile(path).add(entry)
    click.echo(f"kept in {path}; serve with --tokens-file {path}", err=True)


def _split(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None:
        raise click.UsageError("--expires-in is written as 90d, 12h or 30m")
    return timedelta(seconds=int(found[1]) * _SPANS[found[2]])
