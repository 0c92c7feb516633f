"""An agent of the OpenAI Agents SDK that knows its user, and whose conversation goes on where it was left."""

import asyncio
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from memsvc_client import AsyncMemoryClient
from memsvc_openai_agents import MemsvcSession, memsvc_instructions

set_tracing_disabled(True)


async def main() -> None:
    model = OpenAIChatCompletionsModel(os.environ.get("OPENAI_MODEL", "gpt-5-mini"), AsyncOpenAI())
    agent = Agent(name="Helper", model=model, instructions=memsvc_instructions("Be brief."))
    async with AsyncMemoryClient.local("tmp/openai_agents.db") as client:

        async def say(line: str, session_id: str) -> str:
            session = MemsvcSession(client, "sarah", session_id)
            answer = (await Runner.run(agent, line, session=session, context=session)).final_output
            print(f"Sarah: {line}\nAgent: {answer}")
            return str(answer)

        await say("I love hiking on weekends.", "monday")
        known = await client.user("sarah").context(wait=True)  # it learns in the background
        print(known)
        assert "hiking" in known.text
        assert "hiking" in await say("Which hiking do I love?", "tuesday")

        await say("And tea.", "monday")
        items = await MemsvcSession(client, "sarah", "monday").get_items()
        assert [item["content"] for item in items if item.get("role") == "user"] == [
            "I love hiking on weekends.",
            "And tea.",
        ]


asyncio.run(main())
