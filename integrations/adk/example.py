"""An ADK agent that knows its user in the next session: memory as a plugin. Needs google-adk[openai] for this model."""

import asyncio
import os

from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types

from memsvc_adk import MemsvcPlugin
from memsvc_client import AsyncMemoryClient


async def main() -> None:
    model = OpenAILlm(model=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
    agent = LlmAgent(name="helper", model=model, instruction="Be brief.")
    async with AsyncMemoryClient.local("tmp/adk.db") as client:
        sessions = InMemorySessionService()
        runner = Runner(
            app_name="helper",
            agent=agent,
            session_service=sessions,
            auto_create_session=True,
            plugins=[MemsvcPlugin(client)],
        )

        async def say(line: str, session_id: str) -> str:
            message = types.Content(role="user", parts=[types.Part(text=line)])
            answer = ""
            async for event in runner.run_async(user_id="sarah", session_id=session_id, new_message=message):
                answer += "".join(part.text or "" for part in (event.content.parts if event.content else None) or ())
            print(f"Sarah: {line}\nAgent: {answer}")
            return answer

        await say("I love hiking on weekends.", "monday")
        known = await client.user("sarah").context(wait=True)  # it learns in the background
        print(known)
        assert "hiking" in known.text
        assert "hiking" in await say("Which hiking do I love?", "tuesday")


asyncio.run(main())
