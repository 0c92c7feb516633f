"""What each run has taught, and a user who wants it all gone again."""

import os

from openai import OpenAI

from memsvc_client import MemoryClient

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


def main() -> None:
    model = OpenAI()
    with MemoryClient.local("tmp/memories_after_each_run.db") as client:
        # Off by default, so that no sentence that is misread costs a memory.
        client.config.update(allow_clear=True)
        john = client.user("john")
        john.erase()
        for line in ("My name is John Doe. I live in Paris.", "I really like hiking.", "I moved to Lyon."):
            said = {"role": "user", "content": line}
            reply = model.chat.completions.create(model=MODEL, messages=[said])
            receipt = john.append_run("s1", [said, reply.choices[0].message], wait=True)
            for change in receipt.commit.changes:
                print(f"{change.kind}: {(change.after or change.before).memory}")
            print("  all:", [memory.memory for memory in john.memories.list()])
        assert "Lyon" in john.context().text
        assert "Paris" not in john.context().text

        john.append_run("s1", [("user", "Remove all existing memories of me."), ("assistant", "Done.")], wait=True)
        assert list(john.memories.list()) == []
        print("nothing is left, and the last change can be undone:", len(john.memories.undo().changes))


if __name__ == "__main__":
    main()
