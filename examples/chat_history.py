"""Past conversations: the last runs for the prompt, a search in all of them, and a model that reads them by a tool."""

import os

from openai import OpenAI

from memsvc_client import MemoryClient

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


def main() -> None:
    model = OpenAI()
    with MemoryClient.local("tmp/chat_history.db") as client:
        user = client.user("sarah")
        user.erase()
        for number, topic in enumerate(("the fjords", "a train to Bergen", "hotels in Oslo"), start=1):
            run = [("user", f"Tell me about {topic}."), ("assistant", f"Here is what I know about {topic}.")]
            user.append_run("travel", run, run_id=f"run-{number}", learning_mode="off")

        last = user.history("travel", last_runs=2)  # as model providers take messages
        assert [message["role"] for message in last] == ["user", "assistant"] * 2
        assert last[0]["content"] == "Tell me about a train to Bergen."

        passages = user.search_history("When did we talk about trains?", limit=1)
        assert passages[0].run_id == "run-2"
        print("found:", passages[0].message.text)

        # Reading needs no mode: every model may have these tools.
        messages = [{"role": "user", "content": "What did we talk about earlier?"}]
        reply = model.chat.completions.create(model=MODEL, messages=messages, tools=user.tools("openai"))
        answers = user.run_tool_calls(reply.choices[0].message, session_id="travel")
        assert "fjords" in answers[0]["content"]
        assert "hotels in Oslo" in answers[0]["content"]
        print(answers[0]["content"])


if __name__ == "__main__":
    main()
