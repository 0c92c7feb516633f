"""`memsvc demo`: a sidecar on SQLite learns from a real conversation, shown as it happens."""

from __future__ import annotations

import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import click
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from memsvc_client import ChangeKind, Committed, Completed, ExtractionEvent, Failed, MemoryClient, Message, User

_MARKS = {ChangeKind.CREATED: "[green]+[/]", ChangeKind.UPDATED: "[yellow]~[/]", ChangeKind.DELETED: "[red]-[/]"}


@dataclass(frozen=True, slots=True)
class _Session:
    user: str
    session_id: str
    title: str
    at: datetime
    runs: Sequence[Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Question:
    user: str
    query: str


@click.command()
@click.option("--path", default="", help="Keep the database here. Default: a temporary folder.")
def demo(path: str) -> None:
    """Start a sidecar on SQLite, play a conversation, show what it learns, and that a restart loses nothing."""
    console = Console(highlight=False)
    sessions, questions = _conversation()
    with _database(path) as database:
        started = time.monotonic()
        with MemoryClient.local(database, quiet_seconds=0.1) as client:
            info = client.server_info()
            console.print(
                f"[bold]memsvc {info.version}[/] serves {database} "
                f"({info.driver}, engine [bold]{info.engine}[/]) after {time.monotonic() - started:.2f} s\n"
            )
            for session in sessions:
                _play(console, client.user(session.user, agent_id="support"), session)
            _show(console, client, questions)
            before = {user: client.user(user).context().text for user in ("sarah", "ava")}
        console.print("[bold]The sidecar stops, and another one starts on the same file.[/]")
        _wait_until_gone(database)
        with MemoryClient.local(database) as client:
            after = {user: client.user(user).context().text for user in ("sarah", "ava")}
            history = client.user("sarah").history("promotion", last_runs=1)
        if after != before:
            raise click.ClickException("the context changed over a restart")
        console.print("All is still there, to the letter. The last exchange of Sarah's session:")
        for message in history:
            console.print(f"  [cyan]{message['role']}[/]: {message['content']}")


def _conversation() -> tuple[list[_Session], list[_Question]]:
    text = files("memsvc.cli").joinpath("demo_conversation.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    sessions = [_Session(**each) for each in document["session"]]
    return sessions, [_Question(**each) for each in document["question"]]


@contextmanager
def _database(path: str) -> Iterator[Path]:
    if path:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="memsvc-demo-") as folder:
        yield Path(folder) / "memory.db"


def _play(console: Console, user: User, session: _Session) -> None:
    console.rule(f"{session.title}  [dim]({session.user}, {session.at:%d %B %Y})[/]", align="left")
    for run in session.runs:
        messages = [Message(role, text, time=session.at) for role, text in run]
        for role, text in run:
            console.print(f"[cyan]{role:>9}[/]  {text}")
        receipt = user.append_run(session.session_id, messages, wait=False)
        follow(console, user.extractions.watch(receipt.extraction_id))
    console.print()


def follow(console: Console, events: Iterator[ExtractionEvent]) -> None:
    """Print what an extraction learns, until it ends."""
    for event in events:
        if isinstance(event, Committed):
            for change in event.commit.changes:
                memory = change.after or change.before
                assert memory is not None
                place = f"{memory.layer}.{memory.key}" if memory.key else str(memory.layer)
                console.print(f"           {_MARKS[change.kind]} {memory.memory}  [dim]{place}[/]")
            if not event.commit.changes:
                console.print("           [dim]nothing to learn[/]")
        elif isinstance(event, Failed):
            console.print(f"           [red]not learned: {event.detail}[/]")
        elif isinstance(event, Completed):
            return


def _show(console: Console, client: MemoryClient, questions: Sequence[_Question]) -> None:
    context = client.user("sarah").context(query="How do I clean data?")
    console.print("[bold]What an agent puts into Sarah's system prompt:[/]")
    console.print(Panel(Syntax(context.text, "xml", background_color="default"), expand=False))
    table = Table("user", "question", "best memories", title="Search", title_justify="left")
    for question in questions:
        hits = client.user(question.user).memories.search(question.query, limit=2)
        table.add_row(question.user, question.query, "\n".join(hit.memory for hit in hits) or "[dim]none[/]")
    console.print(table)
    console.print()


def _wait_until_gone(database: Path) -> None:
    """Wait for the first server to end: it does so by itself once its last client has gone."""
    from memsvc_client.sidecar import Sidecar

    socket_path = Sidecar(database).socket
    deadline = time.monotonic() + 20
    while socket_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
