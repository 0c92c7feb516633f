"""A coach for learners: Emma and David, over four weeks. Its model notes goals, progress and struggles by its tools."""

import os

from openai import OpenAI

from memsvc_client import MemoryClient, User

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
EMMA = ["I'm learning Python.", "I finished loops.", "I struggle with recursion.", "I finished recursion."]
DAVID = ["I'm learning Spanish.", "I finished lesson one.", "I finished fifty words.", "I struggle with ser and estar."]
WEEKS = {"emma": EMMA, "david": DAVID}


def ask(model: OpenAI, user: User, session_id: str, line: str) -> str:
    system = (
        f"You coach a learner. Note goals, progress and struggles with your tools.\n\n{user.context(query=line).text}"
    )
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
    with MemoryClient.local("tmp/learning_coach.db") as client:
        client.config.update(enable_agentic_memory=True, update_memory_on_run=False)
        learners = {name: client.user(name, agent_id="coach") for name in WEEKS}
        for learner in learners.values():
            learner.erase()
        for week in range(4):
            for name, learner in learners.items():
                ask(model, learner, f"week-{week + 1}", WEEKS[name][week])
        for name, learner in learners.items():
            print(name, "->", ask(model, learner, "review", "What is my progress?"))
            # Oldest first: the way that the learner has come.
            steps = [hit.memory for hit in learner.memories.search(method="first_n", limit=10)]
            print("  steps:", steps)
            assert len(steps) >= 3
        emma, david = (learner.context().text for learner in learners.values())
        assert "recursion" in emma
        assert "Spanish" in david
        assert "recursion" not in david


if __name__ == "__main__":
    main()
