"""`memsvc import`: JSON Lines that `memsvc export` wrote, or anybody else; or a file of another system.

Lines of one user that follow each other go together. Each request has an id of its own that is the same when the
command goes on after it was cut off: so nothing is imported twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import click

from memsvc.cli import INTERRUPTED
from memsvc.cli.importing_foreign import KINDS, foreign_lines
from memsvc.cli.importing_lines import Damaged, Line
from memsvc.cli.importing_to import serving
from memsvc.cli.parameters import name_option, target_option, token_option
from memsvc.cli.progress import Kept, Shown
from memsvc.cli.settings import StorageUrlType
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
_GO_ON: Final = "What was imported stays: run the same command again to go on."
_PLACE: Final = re.compile(r"records\[(\d+)\]\.?")


@click.command("import")
@click.argument("source", default="-", metavar="[FILE]")
@click.option(
    "--from",
    "kind",
    type=click.Choice(("memsvc", *KINDS)),
    default="memsvc",
    show_default=True,
    help="Whose file it is: JSON Lines of memsvc, or that of another system.",
)
@click.option(
    "--mode",
    type=click.Choice([ImportMode.FAIL.value, ImportMode.SKIP.value, ImportMode.OVERWRITE.value]),
    default=None,
    show_default="fail; skip for other systems",
    help="Where something is there already: stop, leave it, or replace it.",
)
@click.option("--preview", is_flag=True, help="Only say what would be imported, and what would not.")
@click.option("--table", default="", help="Of agno and langgraph: the table, where it has a name of its own.")
@click.option("--template", default="", show_default="memories.{user}", help="Of langgraph: where the user is.")
@name_option("--user", "user_id", help="Import all of it to this user, whoever it is of.")
@click.option("--skip-damaged", is_flag=True, help="Name lines that are no records or are refused, and go on.")
@click.option("--progress", default="", metavar="FILE", help="Where to keep how far it is. Default: FILE.progress.")
@name_option("--namespace", help="To which. Default: default.")
@target_option
@click.option(
    "--to",
    "storage_url",
    default="",
    type=StorageUrlType(),
    envvar="MEMSVC_IMPORT_TO",
    show_envvar=True,
    help="A database, instead of a server: one is started for it meanwhile.",
)
@token_option
def import_(
    source: str,
    kind: str,
    mode: str | None,
    preview: bool,
    table: str,
    template: str,
    user_id: str,
    skip_damaged: bool,
    progress: str,
    namespace: str,
    target: str,
    storage_url: str,
    token: str | None,
) -> None:
    """Import users from JSON Lines, of a file or of stdin, or from a file of another memory system.

    \b
    agno       its SQLite file (table agno_memories), or the rows as JSON
    mem0       what get_all answers, as JSON
    langgraph  the SQLite file of its store, or the items as JSON
    letta      an agent file (.af): the memory blocks, line by line
    graphiti   its edges as JSON
    hindsight  the ZIP of export-bank
    chatgpt    conversations.json of an export, or its ZIP: as conversations, to be learned from
    lines      a text with one fact a line; --user says whose

    What is in such a file gets layers and keys, in the order of its times, and is trusted as imported; importing it
    twice is importing it once.

    A file is read through before anything is imported: lines that are no records are named, and nothing is done. Of
    stdin, what comes before such a line is imported. The same command goes on where an earlier one was cut off, be it
    killed; from stdin with --progress. Exits 1 if anything was not imported.
    """
    path = Path(source) if source != "-" else None
    if kind != "memsvc" and path is None:
        raise click.UsageError(f"--from {kind} reads a file: name it")
    mode = mode or (ImportMode.FAIL.value if kind == "memsvc" else ImportMode.SKIP.value)
    place = Path(progress) if progress else path.with_name(f"{path.name}.progress") if path is not None else None
    about = {"mode": mode, "user": user_id, "namespace": namespace, "target": storage_url or target}
    about |= {} if kind == "memsvc" else {"from": kind, "table": table, "template": template}
    importing = _Import(mode, skip_damaged, Kept(place if not preview else None, about), rekey=kind != "memsvc")
    try:
        with ExitStack() as stack:
            lines: Iterable[Line | Damaged]
            if kind == "memsvc" or path is None:
                file = stack.enter_context(path.open("rb")) if path is not None else sys.stdin.buffer
                lines = _lines(file, user_id)
                if path is not None and not skip_damaged:
                    _check(lines)
                    file.seek(0)
                    lines = _lines(file, user_id)
            else:
                lines = foreign_lines(kind, path, user_id=user_id, table=table, template=template, shown=preview)
                if not skip_damaged and not preview:
                    _check(lines)
            if preview:
                sys.exit(_previewed(lines))
            if storage_url:
                target = stack.enter_context(serving(storage_url))
            client = MemoryClient(target, namespace=namespace, token=token, timeout_seconds=_CALL_SECONDS)
            importing.run(stack.enter_context(client), lines)
    except Damaged as error:
        importing.leave()
        raise click.ClickException(f"{error}\n{importing.words()}") from error
    except MemoryServiceError as error:
        raise click.ClickException(f"{error}\n{importing.words()}\n{_GO_ON if place else ''}".strip()) from error
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted: {importing.words()}\n{_GO_ON if place else ''}".rstrip(), err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        raise click.ClickException(f"{source}: {error.strerror}") from error
    sys.exit(1 if importing.refused else 0)


def _previewed(lines: Iterable[Line | Damaged]) -> int:
    """Say what is in the lines, and return 1 where something is damaged."""
    counts: dict[str, int] = {}
    damaged = 0
    for each in lines:
        if isinstance(each, Damaged):
            damaged += 1
            click.echo(str(each), err=True)
        else:
            counts[each.user_id] = counts.get(each.user_id, 0) + 1
    for user_id, count in sorted(counts.items()):
        click.echo(f"{user_id}: {count:,} records")
    click.echo(f"{sum(counts.values()):,} records of {len(counts):,} users, {damaged:,} damaged: nothing was imported")
    return 1 if damaged else 0


def _check(lines: Iterable[Line | Damaged]) -> None:
    """Raise ClickException that names the damaged lines, if there are any."""
    count = 0
    for each in lines:
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

    def __init__(self, mode: str, skip_damaged: bool, kept: Kept, *, rekey: bool) -> None:
        """`rekey`: a memory whose key another has is imported without it."""
        self.refused = 0
        self._mode = mode
        self._rekey = rekey
        self._skip_damaged = skip_damaged
        self._kept = kept
        self._run_id = uuid.uuid4()
        self._is_new = False
        self._counts: dict[ImportResult, int] = {each: 0 for each in ImportResult if each is not ImportResult.UNKNOWN}
        self._shown = Shown(self.words)

    def words(self) -> str:
        """Say how far it has come."""
        said = ", ".join(f"{count:,} {result.value}" for result, count in self._counts.items())
        return f"{said}, {self.refused:,} refused"

    def run(self, client: MemoryClient, lines: Iterable[Line | Damaged]) -> None:
        done, digest = self._take_up(client)
        part: list[Line] = []
        for each in lines:
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

    def leave(self) -> None:
        """Leave nothing behind of an import that was refused before it had done anything."""
        if self._is_new and not any(self._counts.values()):
            self._kept.done()

    def _take_up(self, client: MemoryClient) -> tuple[int, str]:
        """Return the last line that is done, and its digest."""
        reached = self._kept.read(lambda kept: not kept["line"])
        if reached is None:
            # Nothing is kept for a server that is not there, or does not know who asks.
            client.server_info()
            self._is_new = True
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
                if without_key := self._import(client, lines):
                    waiting.append(without_key)
            except ResourceExhausted as error:
                if error.reason != Reason.REQUEST_TOO_LARGE or len(lines) == 1:
                    raise
                half = len(lines) // 2
                waiting += [lines[half:], lines[:half]]
            except (InvalidArgument, AlreadyExists, FailedPrecondition) as error:
                refused, why = _named(error, lines)
                self._refuse(Damaged(refused.number, why, refused.place))
                if rest := [line for line in lines if line is not refused]:
                    waiting.append(rest)
        self._keep(part[-1].number, part[-1].digest)
        self._shown.tick()

    def _import(self, client: MemoryClient, lines: Sequence[Line]) -> Sequence[Line]:
        """Import lines; return those that are to be imported without their key."""
        # The same again when the command goes on.
        name = f"{lines[0].number}-{lines[-1].number}-{len(lines)}{'-unkeyed' if lines[0].is_unkeyed else ''}"
        imported = client.user(lines[0].user_id).import_records(
            [line.record for line in lines], mode=self._mode, request_id=str(uuid.uuid5(self._run_id, name))
        )
        without_key: list[Line] = []
        for line, outcome in zip(lines, imported.outcomes, strict=True):
            memory = line.record.memory
            is_elsewhere = outcome.result is ImportResult.SKIPPED and memory and outcome.memory_id != memory.memory_id
            if self._rekey and is_elsewhere:
                # What is known at its key stays; it is known beside that.
                without_key.append(line.without_key())
            else:
                self._counts[outcome.result] += 1
        return without_key


def _named(error: MemoryServiceError, lines: Sequence[Line]) -> tuple[Line, str]:
    """Return the line that an error is about, and why. Raises the error where it is about none."""
    for each in error.fields:
        if (found := _PLACE.match(each.field)) is not None:
            return lines[int(found[1])], f"{each.field[found.end() :]}: {each.description}".removeprefix(": ")
    raise error
