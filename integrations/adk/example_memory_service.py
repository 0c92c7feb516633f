"""memsvc behind ADK's own tools: a callback saves each session, preload_memory shows what fits in the next one."""

import asyncio
import os

from google.adk.agents import LlmAgent
from google.adk.agents.callback_context import CallbackContext
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import preload_memory

from memsvc_adk import MemsvcMemoryService
from memsvc_client import MemoryClient


async def save(callback_context: CallbackContext) -> None:
    await callback_context.add_session_to_memory()


client = MemoryClient.local("tmp/adk_memory_service.db")
agent = LlmAgent(
    name="helper",
    model=OpenAILlm(model=os.environ.get("OPENAI_MODEL", "gpt-5-mini")),
    tools=[preload_memory],
    after_agent_callback=save,
)
runner = Runner(
    app_name="helper",
    agent=agent,
    session_service=InMemorySessionService(),
    memory_service=MemsvcMemoryService(client),
)

asyncio.run(runner.run_debug("I love hiking on weekends.", user_id="sarah", session_id="monday"))
print(client.user("sarah").context(wait=True))  # it learns in the background
asyncio.run(runner.run_debug("Which hiking do I love?", user_id="sarah", session_id="tuesday"))

saved = [run.messages[0].text for session in ("monday", "tuesday") for run in client.user("sarah").runs(session)]
print(saved)
assert saved == ["I love hiking on weekends.", "Which hiking do I love?"]
