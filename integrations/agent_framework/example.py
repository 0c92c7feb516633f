"""An agent of the Agent Framework that knows its user in the next session. Needs agent-framework-openai."""

import asyncio
import os

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient

from memsvc_agent_framework import MemsvcProvider
from memsvc_client import AsyncMemoryClient


async def main() -> None:
    model = OpenAIChatCompletionClient(os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
    async with AsyncMemoryClient.local("tmp/agent_framework.db") as client:
        agent = Agent(model, "Be brief.", context_providers=[MemsvcProvider(client)])

        async def say(line: str, session_id: str) -> str:
            session = agent.create_session(session_id=session_id)
            session.state["user_id"] = "sarah"
            answer = (await agent.run(line, session=session)).text
            print(f"Sarah: {line}\nAgent: {answer}")
            return answer

        await say("I love hiking on weekends.", "monday")
        known = await client.user("sarah").context(wait=True)  # it learns in the background
        print(known)
        assert "hiking" in known.text
        assert "hiking" in await say("Which hiking do I love?", "tuesday")


asyncio.run(main())
