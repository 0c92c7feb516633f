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

from memsvc.cli.settings import DatabaseFileType, SettingType
from memsvc.cli.transcript import print_learned, print_said
from memsvc.storage.options import File
from memsvc_client import MemoryClient, MemoryServiceError, Message, User

_NEXT = """from memsvc_client import MemoryClient

with MemoryClient.local() as client:  # a server of your own
    me = client.user("me")
    me.learn("My name is Ava and I ski")
    print(me.context().text)  # for the system prompt of your agent"""


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


@dataclass(slots=True)
class _Counts:
    messages: int = 0
    changes: int = 0
    context_seconds: float = 0.0


@click.command()
@click.option(
    "--path", default="", type=DatabaseFileType(File), help="Keep the database here. Default: a temporary folder."
)
@click.option(
    "--svg", default="", type=SettingType(File), help="Also draw what is printed, as a picture, into this file."
)
def demo(path: str, svg: str) -> None:
    """Start a sidecar on SQLite, play a conversation, show what it learns, and that a restart loses nothing."""
    console = Console(highlight=False, record=bool(svg), width=80 if svg else None)
    try:
        with _database(path) as database:
            _play_all(console, database, shown=path or "a file in a temporary folder")
    except MemoryServiceError as error:
        raise click.ClickException(str(error)) from error
    if svg:
        try:
            console.save_svg(svg, title="memsvc demo")
        except OSError as error:
            raise click.ClickException(f"{svg}: {error.strerror}") from error


def _play_all(console: Console, database: Path, shown: str) -> None:
    sessions, questions = _conversation()
    users = list(dict.fromkeys(session.user for session in sessions))
    counts = _Counts()
    with MemoryClient.local(database, quiet_seconds=0.1) as client:
        info = client.server_info()
        console.print(
            f"[bold]memsvc {info.version}[/] serves {shown} ({info.driver}, engine [bold]{info.engine}[/]).\n"
        )
        for session in sessions:
            _play(console, client.user(session.user, agent_id="support"), session, counts)
        _show(console, client, questions, counts)
        before = {user: client.user(user).context().text for user in users}
    console.print("[bold]The sidecar stops, and another one starts on the same file.[/]")
    _wait_until_gone(database)
    with MemoryClient.local(database) as client:
        after = {user: client.user(user).context().text for user in users}
        last = sessions[-1]
        history = client.user(last.user).history(last.session_id, last_runs=1)
    if after != before:
        raise click.ClickException("the context changed over a restart")
    console.print("All is still there, to the letter. The last exchange of Sarah's session:")
    for message in history:
        print_said(console, str(message["role"]), str(message["content"]))
    _sum_up(console, len(users), counts)


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


def _play(console: Console, user: User, session: _Session, counts: _Counts) -> None:
    console.rule(f"{session.title}  [dim]({session.user}, {session.at:%d %B %Y})[/]", align="left")
    for run in session.runs:
        messages = [Message(role, text, time=session.at) for role, text in run]
        for role, text in run:
            print_said(console, role, text)
        receipt = user.append_run(session.session_id, messages, wait=False)
        counts.messages += len(messages)
        counts.changes += print_learned(console, user.extractions.watch(receipt.extraction_id))
    console.print()


def _show(console: Console, client: MemoryClient, questions: Sequence[_Question], counts: _Counts) -> None:
    started = time.perf_counter()
    context = client.user("sarah").context(query="How do I clean data?")
    counts.context_seconds = time.perf_counter() - started
    console.print("[bold]What an agent puts into Sarah's system prompt:[/]")
    console.print(Panel(Syntax(context.text, "xml", background_color="default", word_wrap=True), expand=False))
    table = Table("user", "question", "best memories", title="Search", title_justify="left")
    for question in questions:
        hits = client.user(question.user).memories.search(question.query, limit=2)
        table.add_row(question.user, question.query, "\n".join(hit.memory for hit in hits) or "none")
    console.print(table)
    console.print()


def _sum_up(console: Console, users: int, counts: _Counts) -> None:
    console.print()
    console.rule("That was", align="left")
    console.print(
        f"{counts.messages} messages of {users} users, {counts.changes} changes of their memories, "
        f"a context in {counts.context_seconds * 1000:.1f} ms, one restart, nothing lost.\n"
    )
    console.print("[bold]Next[/]")
    console.print("  memsvc chat       talk to it yourself\n  memsvc serve      run it for your agents\n", markup=False)
    console.print("or from Python:\n")
    console.print(Syntax(_NEXT, "python", background_color="default", word_wrap=True))


def _wait_until_gone(database: Path) -> None:
    """Wait for the first server to end: it does so by itself once its last client has gone."""
    from memsvc_client.sidecar import Sidecar

    socket_path = Sidecar(database).socket
    deadline = time.monotonic() + 20
    while socket_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
