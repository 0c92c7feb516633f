"""The agent's own model decides what to remember: it calls the tools of memory, and nothing is learned by itself."""

import os

from openai import OpenAI

from memsvc_client import MemoryClient, User

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


def ask(model: OpenAI, user: User, session_id: str, line: str) -> str:
    """One turn: the model calls tools until it has an answer."""
    system = f"You are a helpful assistant. Keep the user's memory up to date with your tools.\n\n{user.context().text}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": line}]
    while True:
        reply = model.chat.completions.create(model=MODEL, messages=messages, tools=user.tools("openai"))
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        messages += user.run_tool_calls(message, session_id=session_id)
    user.append_run(session_id, messages)
    return message.content or ""


def main() -> None:
    model = OpenAI()
    with MemoryClient.local("tmp/agentic_memory.db") as client:
        client.config.update(enable_agentic_memory=True, update_memory_on_run=False)
        marcus = client.user("marcus", agent_id="helper")
        marcus.erase()

        print(ask(model, marcus, "s1", "My name is Marcus. I'm allergic to peanuts."))
        assert "peanuts" in marcus.context().text
        assert {memory.trust for memory in marcus.memories.list()} == {"from_tool"}

        print(ask(model, marcus, "s1", "Update my role: I'm a Staff Engineer now"))
        assert "Staff Engineer" in marcus.context().text

        print(ask(model, marcus, "s2", "What do you know about me?"))

        print(ask(model, marcus, "s2", "Forget my role."))
        assert "Staff Engineer" not in marcus.context().text
        assert marcus.stats().pending_run_count == 0


if __name__ == "__main__":
    main()
