"""Learning on demand: from one message, and from a whole conversation, without a session."""

from memsvc_client import Completed, MemoryClient, Proposed


def main() -> None:
    with MemoryClient.local("tmp/from_messages.db") as client:
        user = client.user("ava")
        user.erase()

        commit = user.learn("I really enjoy hiking and I live in Bergen.")
        print("from one message:", [change.after.memory for change in commit.changes])
        assert "Bergen" in user.context().text

        conversation = [
            {"role": "user", "content": "I'm a nurse."},
            {"role": "assistant", "content": "Where do you work?"},
            {"role": "user", "content": "I work at St. Olav's."},
            {"role": "assistant", "content": "A friend of mine likes sailing there."},
        ]
        for event in user.extract(conversation):  # learn() that is watched
            if isinstance(event, Proposed):
                print("proposed:", event.memory.memory)
            if isinstance(event, Completed):
                print("model calls:", event.extraction.usage.calls)
        assert "nurse" in user.context().text
        assert "sailing" not in user.context().text  # what the assistant says is nobody's memory

        preview = list(user.extract("I'm allergic to nuts.", validate_only=True))
        assert preview
        assert "nuts" not in user.context().text


if __name__ == "__main__":
    main()
