"""`memsvc chat`: talk, and see what is learned. With a model configured it answers; without one it only listens."""

from __future__ import annotations

import uuid
from typing import Any

import click
from rich.console import Console

from memsvc.cli.answering import Answerer
from memsvc.cli.parameters import NameType
from memsvc.cli.settings import SettingType, configuration, server_options
from memsvc.cli.transcript import print_learned, print_said
from memsvc.errors import Error
from memsvc.storage.options import File
from memsvc_client import LearningMode, MemoryClient, MemoryServiceError, User

_HELP = """/context shows the prompt, /search WORDS searches, /memories lists,
/forget ID deletes, /quit ends. Everything else is said to the agent."""


@click.command()
@server_options
@click.option("--user", "user_id", default="me", type=NameType(), show_default=True, help="Whose memory.")
@click.option("--config", "config_file", default=None, type=SettingType(File), help="A TOML file with settings.")
def chat(target: str, path: str, user_id: str, config_file: str | None) -> None:
    """Talk to memsvc and see what it learns.

    With OPENAI_API_KEY (and MEMSVC_OPENAI_MODEL, MEMSVC_OPENAI_BASE_URL) set, a model answers with the context in its
    prompt; without, memsvc only listens.
    """
    config, _ = configuration(config_file, {})
    console = Console(highlight=False)
    answerer = Answerer(config)
    options: dict[str, Any] = {"config": config_file} if config_file else {}
    try:
        client = MemoryClient(target) if target else MemoryClient.local(path, quiet_seconds=0.1, **options)
        with client:
            engine = client.server_info().engine
            user = client.user(user_id, agent_id="chat")
            console.print(f"You are {user_id}. Engine: {engine}. {answerer.summary}", markup=False)
            console.print(
                f"Kept in {path}." if not target else f"Kept by {target}.", markup=False, style="dim", soft_wrap=True
            )
            console.print(_HELP, style="dim")
            _converse(console, user, answerer)
    except (MemoryServiceError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _converse(console: Console, user: User, answerer: Answerer) -> None:
    session_id = f"chat-{uuid.uuid4()}"
    while True:
        try:
            line = console.input("[bold cyan]you[/] ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if line == "/quit":
            return
        try:
            if line.startswith("/"):
                _command(console, user, line)
            elif line:
                _say(console, user, session_id, line, answerer)
        except (MemoryServiceError, Error) as error:
            console.print(error.message or str(error), style="red", markup=False)
        except KeyboardInterrupt:
            console.print()


def _command(console: Console, user: User, line: str) -> None:
    name, _, argument = line.partition(" ")
    argument = argument.strip()
    if name == "/context":
        console.print(user.context(query=argument).text or "nothing known yet", markup=False)
    elif name == "/search" and argument:
        hits = user.memories.search(argument)
        for hit in hits:
            console.print(f"  {hit.score:5.2f}  {hit.memory}", markup=False)
        if not hits:
            console.print("  nothing found", style="dim")
    elif name == "/memories":
        for memory in user.memories.list():
            console.print(f"  {memory.memory_id}  {memory.layer}  {memory.memory}", markup=False)
    elif name == "/forget" and argument:
        user.memories.delete(argument)
    else:
        console.print(_HELP, style="dim")


def _say(console: Console, user: User, session_id: str, line: str, answerer: Answerer) -> None:
    # Stored before the model is asked: what was said stays, whatever becomes of the answer.
    receipt = user.append_run(session_id, [("user", line)])
    context = user.context(query=line, history=session_id)
    answer = answerer.answer(context.text, context.history)
    if answer:
        print_said(console, "agent", answer, "bold green")
        user.append_run(session_id, [("assistant", answer)], learning_mode=LearningMode.OFF)
    if receipt.extraction_id:
        print_learned(console, user.extractions.watch(receipt.extraction_id))
