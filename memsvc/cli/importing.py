"""`memsvc import`: JSON Lines that `memsvc export` wrote, or anybody else.

Lines of one user that follow each other go together. Each request has an id of its own that is the same when the
command goes on after it was cut off: so nothing is imported twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import click
from msgspec import Struct

from memsvc.cli.progress import Kept, Shown
from memsvc_client import (
    AlreadyExists,
    ExportRecord,
    FailedPrecondition,
    ImportMode,
    ImportResult,
    InvalidArgument,
    MemoryClient,
    MemoryServiceError,
    Reason,
    ResourceExhausted,
)

_PART_LINES: Final = 500
_PART_BYTES: Final = 1 << 20
_LONGEST_LINE_BYTES: Final = 16 << 20
_NAMED: Final = 20
_CALL_SECONDS: Final = 120.0
_PLACE: Final = re.compile(r"records\[(\d+)\]\.?")


class Line(Struct, frozen=True):
    """One record."""

    number: int
    """From 1."""
    digest: str
    """Of all lines up to this one."""
    user_id: str
    record: ExportRecord
    size_bytes: int


class Damaged(Exception):
    """A line that is no record, or that is refused."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number}: {why}")
        self.number = number


@click.command("import")
@click.argument("source", default="-", metavar="[FILE]")
@click.option(
    "--mode",
    type=click.Choice([ImportMode.FAIL.value, ImportMode.SKIP.value, ImportMode.OVERWRITE.value]),
    default=ImportMode.FAIL.value,
    show_default=True,
    help="Where something is there already: stop, leave it, or replace it.",
)
@click.option("--user", "user_id", default="", help="Import all of it to this user, whoever it is of.")
@click.option("--skip-damaged", is_flag=True, help="Name lines that are no records or are refused, and go on.")
@click.option("--progress", default="", metavar="FILE", help="Where to keep how far it is. Default: FILE.progress.")
@click.option("--namespace", default="", help="To which. Default: default.")
@click.option("--target", default="127.0.0.1:7432", show_default=True, help="The server: unix:///path or host:port.")
@click.option("--token", default=None, envvar="MEMSVC_TOKEN", show_envvar=True, help="Who asks, where the server asks.")
def import_(
    source: str,
    mode: str,
    user_id: str,
    skip_damaged: bool,
    progress: str,
    namespace: str,
    target: str,
    token: str | None,
) -> None:
    """Import users from JSON Lines, of a file or of stdin.

    A file is read through before anything is imported: lines that are no records are named, and nothing is done. Of
    stdin, what comes before such a line is imported. The same command goes on where an earlier one was cut off, be it
    killed; from stdin with --progress. Exits 1 if anything was not imported.
    """
    path = Path(source) if source != "-" else None
    place = Path(progress) if progress else path.with_name(f"{path.name}.progress") if path is not None else None
    about = {"mode": mode, "user": user_id, "namespace": namespace, "target": target}
    importing = _Import(mode, user_id, skip_damaged, Kept(place, about))
    try:
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb")) if path is not None else sys.stdin.buffer
            if path is not None and not skip_damaged:
                _check(file, user_id)
                file.seek(0)
            client = MemoryClient(target, namespace=namespace, token=token, timeout_seconds=_CALL_SECONDS)
            importing.run(stack.enter_context(client), file)
    except Damaged as error:
        raise click.ClickException(f"{error}\n{importing.words()}") from error
    except MemoryServiceError as error:
        again = "What was imported stays: run the same command again to go on." if place is not None else ""
        raise click.ClickException(f"{error}\n{importing.words()}\n{again}".strip()) from error
    except OSError as error:
        raise click.ClickException(f"{source}: {error.strerror}") from error
    sys.exit(1 if importing.refused else 0)


def _check(file: BinaryIO, user_id: str) -> None:
    """Raise ClickException that names the damaged lines, if there are any."""
    count = 0
    for each in _lines(file, user_id):
        if isinstance(each, Damaged):
            count += 1
            if count <= _NAMED:
                click.echo(str(each), err=True)
    if count:
        raise click.ClickException(f"{count:,} damaged lines: nothing was imported")


def _lines(file: BinaryIO, user_id: str) -> Iterator[Line | Damaged]:
    """Yield lines, or why they are none; empty ones are left out."""
    number, read = 0, hashlib.blake2b(digest_size=16)
    while raw := file.readline(_LONGEST_LINE_BYTES):
        number += 1
        read.update(raw)
        if len(raw) == _LONGEST_LINE_BYTES:
            yield Damaged(number, f"is longer than {_LONGEST_LINE_BYTES >> 20} MiB")
            return
        if raw.strip():
            try:
                yield _line(number, raw, user_id, read.hexdigest())
            except Damaged as error:
                yield error


def _line(number: int, raw: bytes, user_id: str, digest: str) -> Line:
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError):
        raise Damaged(number, "is no JSON" if raw.endswith(b"\n") else "is no JSON: is it cut off?") from None
    if not isinstance(read, dict):
        raise Damaged(number, "must be a JSON object")
    owner = read.pop("user_id", "")
    if not isinstance(owner, str) or not (user_id or owner):
        raise Damaged(number, "must have a user_id, or --user be given")
    try:
        record = ExportRecord.from_json(read)
    except (ValueError, TypeError) as error:
        raise Damaged(number, str(error)) from None
    return Line(number, digest, user_id or owner, record, len(raw))


class _Import:
    """One import, as far as it has come."""

    def __init__(self, mode: str, user_id: str, skip_damaged: bool, kept: Kept) -> None:
        self.refused = 0
        self._mode = mode
        self._user_id = user_id
        self._skip_damaged = skip_damaged
        self._kept = kept
        self._run_id = uuid.uuid4()
        self._counts: dict[ImportResult, int] = {each: 0 for each in ImportResult if each is not ImportResult.UNKNOWN}
        self._shown = Shown(self.words)

    def words(self) -> str:
        """Say how far it has come."""
        said = ", ".join(f"{count:,} {result.value}" for result, count in self._counts.items())
        return f"{said}, {self.refused:,} refused"

    def run(self, client: MemoryClient, file: BinaryIO) -> None:
        done, digest = self._take_up()
        part: list[Line] = []
        for each in _lines(file, self._user_id):
            if each.number <= done:
                if each.number == done and not (isinstance(each, Line) and each.digest == digest):
                    raise click.ClickException(f"what was imported up to line {done} says something else by now")
                continue
            if isinstance(each, Damaged):
                self._refuse(each)
                continue
            size = sum(line.size_bytes for line in part) + each.size_bytes
            if part and (len(part) == _PART_LINES or size > _PART_BYTES or each.user_id != part[0].user_id):
                self._send(client, part)
                part = []
            part.append(each)
        if part:
            self._send(client, part)
        self._kept.done()
        self._shown.end()

    def _take_up(self) -> tuple[int, str]:
        """Return the last line that is done, and its digest."""
        reached = self._kept.read()
        if reached is None:
            self._keep(0, "")
            return 0, ""
        self._run_id, self.refused = uuid.UUID(reached["run_id"]), reached["refused"]
        self._counts = {each: reached["counts"][each.value] for each in self._counts}
        return reached["line"], reached["digest"]

    def _keep(self, line: int, digest: str) -> None:
        counts = {each.value: count for each, count in self._counts.items()}
        self._kept.keep(
            {"run_id": str(self._run_id), "line": line, "digest": digest, "refused": self.refused, "counts": counts}
        )

    def _refuse(self, damaged: Damaged) -> None:
        if not self._skip_damaged:
            raise damaged
        self.refused += 1
        click.echo(str(damaged), err=True)

    def _send(self, client: MemoryClient, part: Sequence[Line]) -> None:
        """Import lines of one user; in smaller parts where one commit does not take them."""
        waiting = [part]
        while waiting:
            lines = waiting.pop()
            try:
                self._import(client, lines)
            except ResourceExhausted as error:
                if error.reason != Reason.REQUEST_TOO_LARGE or len(lines) == 1:
                    raise
                half = len(lines) // 2
                waiting += [lines[half:], lines[:half]]
            except (InvalidArgument, AlreadyExists, FailedPrecondition) as error:
                refused, why = _named(error, lines)
                self._refuse(Damaged(refused.number, why))
                if rest := [line for line in lines if line is not refused]:
                    waiting.append(rest)
        self._keep(part[-1].number, part[-1].digest)
        self._shown.tick()

    def _import(self, client: MemoryClient, lines: Sequence[Line]) -> None:
        # The same again when the command goes on.
        name = f"{lines[0].number}-{lines[-1].number}-{len(lines)}"
        imported = client.user(lines[0].user_id).import_records(
            [line.record for line in lines], mode=self._mode, request_id=str(uuid.uuid5(self._run_id, name))
        )
        for outcome in imported.outcomes:
            self._counts[outcome.result] += 1


def _named(error: MemoryServiceError, lines: Sequence[Line]) -> tuple[Line, str]:
    """Return the line that an error is about, and why. Raises the error where it is about none."""
    for each in error.fields:
        if (found := _PLACE.match(each.field)) is not None:
            return lines[int(found[1])], f"{each.field[found.end() :]}: {each.description}".removeprefix(": ")
    raise error
