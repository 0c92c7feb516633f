"""The scripted model that frameworks are measured with: an endpoint, in a thread of this process, without delay."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from memsvc.testing.fake_model import facts_in, understand
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply, operations

_ENGINE: Final = "You keep the long-term memory of one user."
_MEM0: Final = "# ROLE\n\nYou are a Memory Extractor"


@contextmanager
def scripted_model() -> Iterator[tuple[str, list[Received]]]:
    """Serve it; yield its base URL, and the list that all requests are put into."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    fake = FakeOpenAI(otherwise=_answer)
    asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result()
    try:
        yield fake.base_url, fake.requests
    finally:
        asyncio.run_coroutine_threadsafe(fake.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def is_of_the_engine(request: Received) -> bool:
    """Return whether memsvc asks, to learn, while no user waits."""
    return any(str(message.get("content")).startswith(_ENGINE) for message in request.json["messages"])


def _answer(request: Received) -> Reply:
    """Answer as the engine's model, as mem0's, as that of agno's manager (they add what is said), as the agent's."""
    messages: list[dict[str, Any]] = request.json["messages"]
    if is_of_the_engine(request):
        return operations(*understand(str(messages[-1]["content"])))
    said = str(messages[-1].get("content"))
    if str(messages[0].get("content")).strip().startswith(_MEM0):
        # What was said before stands above.
        facts = list(facts_in(said.rpartition("## New Messages")[2]))[:1]
        return Reply(content=json.dumps({"memory": [{"id": "0", "text": fact.text} for fact in facts]}))
    offered = {tool["function"]["name"] for tool in request.json.get("tools") or ()}
    if "add_memory" in offered and messages[-1]["role"] == "user" and (facts := list(facts_in(said))):
        arguments = json.dumps({"memory": facts[0].text, "topics": [facts[0].topic]})
        return Reply(calls=(("call_1", "add_memory", arguments),))
    return Reply(content="Noted.")
