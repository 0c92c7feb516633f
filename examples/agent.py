"""An agent that remembers: `python examples/agent.py sarah`, then talk to it; end with Ctrl-D. Needs OPENAI_API_KEY."""

import os
import sys
import uuid

from openai import OpenAI

from memsvc_client import MemoryClient

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


def main(user_id: str) -> None:
    model, session_id = OpenAI(), str(uuid.uuid4())
    with MemoryClient.local() as client:  # or MemoryClient("unix:///run/memsvc/memsvc.sock")
        user = client.user(user_id, agent_id="example")
        for line in sys.stdin:
            said = {"role": "user", "content": line.strip()}
            # What is known of the user that fits what was just said, and the last messages of this session.
            memory = user.context(query=said["content"], history=session_id)
            system = {"role": "system", "content": f"You are a helpful assistant.\n\n{memory.text}"}
            reply = model.chat.completions.create(model=MODEL, messages=[system, *memory.history, said])
            answer = reply.choices[0].message.content or ""
            print(answer)
            # Stored at once, learned from in the background.
            user.append_run(session_id, [said, {"role": "assistant", "content": answer}])


if __name__ == "__main__":
    main(*sys.argv[1:] or ["me"])
