"""An agent of the OpenAI Agents SDK whose own model keeps memory, by tools: it saves, and forgets when asked to."""

import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from memsvc_client import MemoryClient
from memsvc_openai_agents import MemsvcSession, memsvc_instructions, memsvc_tools

set_tracing_disabled(True)
client = MemoryClient.local("tmp/openai_agents_agentic.db")
agent = Agent(
    name="Helper",
    model=OpenAIChatCompletionsModel(os.environ.get("OPENAI_MODEL", "gpt-5-mini"), AsyncOpenAI()),
    instructions=memsvc_instructions("Be brief."),
    tools=memsvc_tools(client),
)


def say(line: str) -> list[str]:
    session = MemsvcSession(client, "sarah", "s1", mode="agentic")
    Runner.run_sync(agent, line, session=session, context=session)
    kept = [memory.memory for memory in client.user("sarah").memories.list()]
    print(f"Sarah: {line}\nKept: {kept}")
    return kept


assert any("Staff Engineer" in memory for memory in say("Update my role: I'm a Staff Engineer now"))
assert not any("Staff Engineer" in memory for memory in say("Forget my role."))
