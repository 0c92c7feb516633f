"""An agent that remembers, for asyncio: `python examples/agent_async.py sarah`. Needs OPENAI_API_KEY."""

import asyncio
import os
import sys
import uuid

from openai import AsyncOpenAI

from memsvc_client import AsyncMemoryClient

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


async def main(user_id: str) -> None:
    model, session_id = AsyncOpenAI(), str(uuid.uuid4())
    async with AsyncMemoryClient.local() as client:  # or AsyncMemoryClient("unix:///run/memsvc/memsvc.sock")
        user = client.user(user_id, agent_id="example")
        while line := await asyncio.to_thread(sys.stdin.readline):
            said = {"role": "user", "content": line.strip()}
            # What is known of the user that fits what was just said, and the last messages of this session.
            memory = await user.context(query=said["content"], history=session_id)
            system = {"role": "system", "content": f"You are a helpful assistant.\n\n{memory.text}"}
            reply = await model.chat.completions.create(model=MODEL, messages=[system, *memory.history, said])
            answer = reply.choices[0].message.content or ""
            print(answer)
            # Stored at once, learned from in the background.
            await user.append_run(session_id, [said, {"role": "assistant", "content": answer}])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["me"]))
