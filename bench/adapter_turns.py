"""Runs turns of one agent framework, in its own environment; `bench.adapters` starts it, and reads what it prints.

    python bench/adapter_turns.py NAME TARGET TURNS FOLDER

Each kind of memory (none, memsvc, the framework's own on SQLite where it has one) gets the same turns, in turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memsvc_client import MemoryClient

USER = "ada"
MEMORIES = 1_000
Say = Callable[[str], object]


def main(name: str, target: str, turns: int, folder: Path) -> None:
    with MemoryClient(target) as client:
        kinds = KINDS[name](client, folder)
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(turns + 1):
            for kind, say in kinds.items():
                began = time.perf_counter()
                say(f"[{kind}] I like tea number {number}.")
                # The first turn makes connections.
                if number:
                    times[kind].append(time.perf_counter() - began)
    sys.stdout.write(f"\n{json.dumps(times)}\n")


def adk(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from google.adk.agents import LlmAgent
    from google.adk.integrations.openai import OpenAILlm
    from google.adk.runners import Runner
    from google.adk.sessions import InMemorySessionService
    from google.genai import types

    from memsvc_adk import MemsvcPlugin

    loop = asyncio.new_event_loop()

    def saying(**ours: Any) -> Say:
        agent = LlmAgent(name="helper", model=OpenAILlm(model="scripted"))
        sessions = InMemorySessionService()
        runner = Runner(app_name="helper", agent=agent, session_service=sessions, auto_create_session=True, **ours)

        async def run(line: str) -> None:
            message = types.Content(role="user", parts=[types.Part(text=line)])
            async for _ in runner.run_async(user_id=USER, session_id=str(uuid.uuid4()), new_message=message):
                pass

        return lambda line: loop.run_until_complete(run(line))

    return {"none": saying(), "memsvc": saying(plugins=[MemsvcPlugin(client)])}


def agent_framework(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatCompletionClient

    from memsvc_agent_framework import MemsvcProvider

    loop = asyncio.new_event_loop()

    def saying(*providers: Any) -> Say:
        agent = Agent(OpenAIChatCompletionClient("scripted"), context_providers=list(providers))
        return lambda line: loop.run_until_complete(agent.run(line, session=agent.create_session()))

    return {"none": saying(), "memsvc": saying(MemsvcProvider(client, user=lambda _: USER))}


def agno(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from agno.agent import Agent
    from agno.db.schemas import UserMemory
    from agno.db.sqlite import SqliteDb
    from agno.models.openai import OpenAIChat

    from memsvc_agno import memsvc_agno

    db = SqliteDb(db_file=str(folder / "agno.db"))
    db.upsert_memories([UserMemory(memory=f"The user likes tea {n}", user_id=USER) for n in range(MEMORIES)])

    def model() -> OpenAIChat:
        return OpenAIChat(id="scripted")

    agents = {
        "none": Agent(model=model(), telemetry=False),
        "memsvc": Agent(model=model(), telemetry=False, **memsvc_agno(client)),
        "own": Agent(model=model(), telemetry=False, db=db, update_memory_on_run=True),
    }

    def saying(agent: Agent) -> Say:
        return lambda line: agent.run(line, user_id=USER, session_id=str(uuid.uuid4()))

    return {kind: saying(agent) for kind, agent in agents.items()}


def langchain(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    from memsvc_langchain import MemsvcMiddleware

    agents = {
        "none": create_agent(ChatOpenAI(model="scripted")),
        "memsvc": create_agent(ChatOpenAI(model="scripted"), middleware=[MemsvcMiddleware(client)]),
    }

    def saying(agent: object) -> Say:
        def say(line: str) -> object:
            config = {"configurable": {"user_id": USER, "thread_id": str(uuid.uuid4())}}
            return agent.invoke({"messages": [("user", line)]}, config)  # type: ignore[attr-defined]

        return say

    return {kind: saying(agent) for kind, agent in agents.items()}


def openai_agents(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession, set_tracing_disabled
    from openai import AsyncOpenAI

    from memsvc_openai_agents import MemsvcSession, memsvc_instructions

    set_tracing_disabled(True)
    model = OpenAIChatCompletionsModel("scripted", AsyncOpenAI())
    plain = Agent(name="Plain", model=model)
    remembering = Agent(name="Remembering", model=model, instructions=memsvc_instructions())

    def with_memsvc(line: str) -> object:
        session = MemsvcSession(client, USER, str(uuid.uuid4()))
        return Runner.run_sync(remembering, line, session=session, context=session)

    def with_own(line: str) -> object:
        # It keeps the conversation, and knows nothing of its user.
        return Runner.run_sync(plain, line, session=SQLiteSession(str(uuid.uuid4()), folder / "sessions.db"))

    return {"none": lambda line: Runner.run_sync(plain, line), "memsvc": with_memsvc, "session": with_own}


def pydantic_ai(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel

    from memsvc_pydantic_ai import MemsvcMemory

    plain = Agent(OpenAIChatModel("scripted"))
    remembering = Agent(OpenAIChatModel("scripted"), capabilities=[MemsvcMemory(client, user=lambda _: USER)])
    return {"none": plain.run_sync, "memsvc": remembering.run_sync}


def strands(client: MemoryClient, folder: Path) -> Mapping[str, Say]:
    from strands import Agent
    from strands.models.openai import OpenAIModel

    from memsvc_strands import MemsvcMemory

    def agent(**ours: Any) -> Agent:
        return Agent(model=OpenAIModel(model_id="scripted"), callback_handler=None, **ours)

    def with_memsvc(line: str) -> object:
        return agent(memory_manager=MemsvcMemory(client, USER, str(uuid.uuid4())))(line)

    return {"none": lambda line: agent()(line), "memsvc": with_memsvc}


KINDS: Mapping[str, Callable[[MemoryClient, Path], Mapping[str, Say]]] = {
    "adk": adk,
    "agent_framework": agent_framework,
    "agno": agno,
    "langchain": langchain,
    "openai_agents": openai_agents,
    "pydantic_ai": pydantic_ai,
    "strands": strands,
}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
