"""A Pydantic AI agent that knows its users, two at once."""

import asyncio
import os
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

from memsvc_client import AsyncMemoryClient
from memsvc_pydantic_ai import MemsvcMemory


@dataclass
class Deps:
    user_id: str


async def main() -> None:
    model = OpenAIChatModel(os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
    async with AsyncMemoryClient.local("tmp/pydantic_ai.db") as client:
        agent = Agent(model, deps_type=Deps, instructions="Be brief.", capabilities=[MemsvcMemory(client)])

        async def say(user_id: str, line: str, conversation_id: str) -> str:
            answer = (await agent.run(line, deps=Deps(user_id), conversation_id=conversation_id)).output
            print(f"{user_id}: {line}\nAgent: {answer}")
            return answer

        said = {"sarah": "I love hiking on weekends.", "ben": "I love chess."}
        await asyncio.gather(*(say(user_id, line, f"{user_id}-1") for user_id, line in said.items()))
        for user_id in said:
            print(await client.user(user_id).context(wait=True))  # it learns in the background

        answers = await asyncio.gather(
            *(say(user_id, "Is it hiking or chess that I love?", f"{user_id}-2") for user_id in said)
        )
        assert "hiking" in answers[0]
        assert "chess" in answers[1]
        known = [str(await client.user(user_id).context()) for user_id in said]
        assert ["hiking" in each for each in known] == [True, False]


asyncio.run(main())
