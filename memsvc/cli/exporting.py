"""`memsvc export`: users as JSON Lines, or their memories in the forms of others.

A line is a memory or a run, and says whose it is: lines may be sorted, split and put together, as long as those of a
user keep their order.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from memsvc.cli.exporting_to import FORMS, write_agno, write_as
from memsvc.cli.parameters import NameType, name_option, target_option, token_option
from memsvc.cli.progress import Kept, Shown
from memsvc_client import MemoryClient, MemoryServiceError, OutOfRange

_PAGE_RECORDS = 500
_CALL_SECONDS = 60.0


@click.command()
@click.argument("users", nargs=-1, type=NameType(), metavar="[USER]...")
@click.option("--all", "everybody", is_flag=True, help="Every user of the namespace.")
@click.option(
    "--to",
    "form",
    type=click.Choice(("memsvc", *FORMS)),
    default="memsvc",
    show_default=True,
    help="As what: JSON Lines that `memsvc import` takes, or memories alone for others.",
)
@click.option("--output", "-o", default="-", show_default="stdout", help="The file to write.")
@name_option("--namespace", help="Whose. Default: default.")
@target_option
@token_option
def export(
    users: tuple[str, ...], everybody: bool, form: str, output: str, namespace: str, target: str, token: str | None
) -> None:
    """Write users as JSON Lines: all memories and runs of each, of one moment.

    With --to, their memories alone: as one JSON document, as Markdown for people, as what mem0's get_all answers, or as
    a new SQLite file with agno's table (with -o).

    With a file, the same command goes on where an earlier one was cut off, be it killed: until the file is whole,
    FILE.progress stands beside it. Vectors, indexes and sessions are not written: they follow from the rest.
    """
    if everybody == bool(users):
        raise click.UsageError("name users, or --all")
    with MemoryClient(target, namespace=namespace, token=token, timeout_seconds=_CALL_SECONDS) as client:
        try:
            # No file is begun for a server that is not there, or does not know who asks.
            client.server_info()
            if form != "memsvc":
                _write(form, client, users, output)
                return
            if output == "-":
                _Export(client, sys.stdout.buffer, Kept(None, {})).run(users)
                return
            path = Path(output)
            about = {"users": list(users), "namespace": namespace}
            kept = Kept(path.with_name(f"{path.name}.progress"), about)
            reached = kept.read()
            with path.open("r+b" if reached is not None and path.exists() else "wb") as file:
                _Export(client, file, kept).run(users, reached)
            kept.done()
        except MemoryServiceError as error:
            again = ""
            if output != "-" and form == "memsvc":
                again = "\nWhat was written stays: run the same command again to go on."
            raise click.ClickException(f"{error}{again}") from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise click.ClickException(f"{output}: {error.strerror}") from error


def _write(form: str, client: MemoryClient, named: tuple[str, ...], output: str) -> None:
    users = named or client.users()
    if form == "agno":
        if output == "-":
            raise click.UsageError("--to agno writes a SQLite file: name it with -o")
        count = write_agno(client, users, Path(output))
    elif output == "-":
        count = write_as(form, client, users, sys.stdout)
    else:
        with Path(output).open("w", encoding="utf-8") as file:
            count = write_as(form, client, users, file)
    click.echo(f"{count:,} memories exported", err=True)


class _Export:
    """One export, as far as it has come."""

    def __init__(self, client: MemoryClient, file: BinaryIO, kept: Kept) -> None:
        self._client = client
        self._file = file
        self._kept = kept
        self._users = self._records = 0
        self._shown = Shown(lambda: f"{self._users:,} users, {self._records:,} records exported")

    def run(self, named: tuple[str, ...], reached: dict[str, object] | None = None) -> None:
        after, token, start = "", "", 0
        if reached is not None:
            after, token = str(reached["user"]), str(reached["token"])
            start = int(str(reached["start"]))
            self._users, self._records = int(str(reached["users"])), int(str(reached["records"]))
            self._file.truncate(int(str(reached["bytes"])))
            self._file.seek(0, os.SEEK_END)
        for user_id in self._from(named, after):
            is_begun = user_id == after and reached is not None
            if is_begun and not token:
                # It was the last one that was written.
                continue
            self._user(user_id, token if is_begun else "", start if is_begun else self._position())
        self._shown.end()

    def _from(self, named: tuple[str, ...], after: str) -> Iterator[str]:
        if named:
            yield from named[named.index(after) :] if after in named else named
        else:
            # As they are listed: in the order of their bytes.
            yield from (user for user in self._client.users() if user.encode() >= after.encode())

    def _user(self, user_id: str, token: str, start: int) -> None:
        while True:
            try:
                page = self._client.user(user_id).export_page(page_token=token, page_size=_PAGE_RECORDS)
            except OutOfRange:
                if not token:
                    raise
                # What the first page saw is gone: all of this user once more.
                self._file.seek(start)
                self._file.truncate()
                token = ""
                continue
            for record in page.records:
                line = json.dumps({"user_id": user_id, **record.to_dict()}, ensure_ascii=False)
                self._file.write(line.encode() + b"\n")
            self._file.flush()
            token = page.next_page_token
            self._records += len(page.records)
            self._users += not token
            self._kept.keep(
                {
                    "user": user_id,
                    "token": token,
                    "start": start,
                    "bytes": self._position(),
                    "users": self._users,
                    "records": self._records,
                }
            )
            self._shown.tick()
            if not token:
                return

    def _position(self) -> int:
        return self._file.tell() if self._file.seekable() else 0
