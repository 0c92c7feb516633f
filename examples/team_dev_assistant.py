"""A development team shares one assistant: each of Marcus, Priya and Jake has a memory, and the team has one, too.

The assistant's model keeps all of it by its tools, over several sessions.
"""

import os

from openai import OpenAI

from memsvc_client import MemoryClient, User

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
TEAM = "team:platform"


def ask(model: OpenAI, user: User, session_id: str, line: str) -> str:
    known = user.context(query=line, shared_user_ids=[TEAM] if user.user_id != TEAM else []).text
    system = f"You assist a development team. Remember with your tools what will matter later.\n\n{known}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": line}]
    while True:
        reply = model.chat.completions.create(model=MODEL, messages=messages, tools=user.tools("openai"))
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        messages += user.run_tool_calls(message, session_id=session_id)
    user.append_run(session_id, messages)
    print(f"{user.user_id}: {line}\n  -> {message.content}")
    return message.content or ""


def main() -> None:
    model = OpenAI()
    with MemoryClient.local("tmp/team_dev_assistant.db") as client:
        client.config.update(enable_agentic_memory=True, update_memory_on_run=False)
        names = ("marcus", "priya", "jake", TEAM)
        marcus, priya, jake, team = (client.user(name, agent_id="dev-assistant") for name in names)
        for user in (marcus, priya, jake, team):
            user.erase()

        ask(model, team, "planning", "We use PostgreSQL and FastAPI.")
        ask(model, marcus, "monday", "I'm a backend engineer. I prefer type hints everywhere.")
        ask(model, priya, "monday", "I'm a frontend engineer. I use TypeScript.")
        ask(model, jake, "monday", "I'm a junior developer. I'm learning Docker.")

        assert "backend engineer" in marcus.context().text
        assert "TypeScript" in priya.context().text
        assert "Docker" in jake.context().text
        # Nobody's memory is anybody else's, and all of them see the team's.
        assert "Docker" not in marcus.context().text + priya.context().text
        assert all("PostgreSQL" in user.context(shared_user_ids=[TEAM]).text for user in (marcus, priya, jake))

        ask(model, jake, "friday", "I have finished the Docker course.")
        progress = ask(model, jake, "friday", "What do you remember about me?")
        assert "finished" in progress


if __name__ == "__main__":
    main()
