"""`memsvc chat`: talk, and see what is learned. With a model configured it answers; without one it only listens."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from memsvc.cli.demo import follow
from memsvc_client import MemoryClient, MemoryServiceError, User

_HELP = """[dim]/context shows the prompt, /search WORDS searches, /memories lists, /forget ID deletes, /quit ends.
Everything else is said to the agent.[/]"""
_HISTORY_RUNS = 10


@click.command()
@click.option(
    "--target", default="", help="A running server: unix:///path or host:port. Default: a sidecar of its own."
)
@click.option("--path", default="tmp/memory.db", show_default=True, help="The database of the sidecar.")
@click.option("--user", "user_id", default="me", show_default=True, help="Whose memory.")
def chat(target: str, path: str, user_id: str) -> None:
    """Talk to memsvc and see what it learns.

    With OPENAI_API_KEY (and MEMSVC_OPENAI_MODEL, MEMSVC_OPENAI_BASE_URL) set, a model answers with the context in its
    prompt; without, memsvc only listens.
    """
    console = Console(highlight=False)
    client = MemoryClient(target) if target else MemoryClient.local(path, quiet_seconds=0.1)
    with client:
        user = client.user(user_id, agent_id="chat")
        session_id = f"chat-{uuid.uuid4()}"
        answerer = _Answerer()
        console.print(f"You are [bold]{user_id}[/]. Engine: [bold]{client.server_info().engine}[/]. {answerer.summary}")
        console.print(_HELP)
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
            except MemoryServiceError as error:
                console.print(f"[red]{error}[/]")


def _command(console: Console, user: User, line: str) -> None:
    name, _, argument = line.partition(" ")
    if name == "/context":
        console.print(user.context(query=argument).text or "[dim]nothing known yet[/]", markup=False)
    elif name == "/search" and argument:
        for hit in user.memories.search(argument):
            console.print(f"  {hit.score:5.2f}  {hit.memory}", markup=False)
    elif name == "/memories":
        for memory in user.memories.list():
            console.print(f"  {memory.memory_id}  {memory.layer}  {memory.memory}", markup=False)
    elif name == "/forget" and argument:
        user.memories.delete(argument)
    else:
        console.print(_HELP)


def _say(console: Console, user: User, session_id: str, line: str, answerer: _Answerer) -> None:
    context = user.context(query=line, history=session_id)
    answer = answerer.answer(context.text, context.history, line)
    messages: list[tuple[str, str]] = [("user", line)]
    if answer:
        console.print(f"[bold green]agent[/] {answer}", markup=True)
        messages.append(("assistant", answer))
    receipt = user.append_run(session_id, messages)
    follow(console, user.extractions.watch(receipt.extraction_id))


class _Answerer:
    """The agent's own model, where one is configured."""

    def __init__(self) -> None:
        self._model = os.environ.get("MEMSVC_OPENAI_MODEL", "gpt-5-mini")
        self._base_url = os.environ.get("MEMSVC_OPENAI_BASE_URL") or None
        self._key = os.environ.get("MEMSVC_OPENAI_API_KEY") or os.environ.get("OPENAI_API_KEY", "")
        self._client: Any = None
        if self._key or self._base_url:
            import openai

            self._client = openai.OpenAI(api_key=self._key or "none", base_url=self._base_url)

    @property
    def summary(self) -> str:
        return f"{self._model} answers." if self._client is not None else "No model is configured: nobody answers."

    def answer(self, context: str, history: Sequence[Any], line: str) -> str:
        if self._client is None:
            return ""
        prompt = [{"role": "system", "content": f"You are a helpful assistant.\n\n{context}"}]
        prompt += [{"role": str(message.role), "content": message.text} for message in history]
        prompt.append({"role": "user", "content": line})
        reply = self._client.chat.completions.create(model=self._model, messages=prompt)
        return str(reply.choices[0].message.content or "")
