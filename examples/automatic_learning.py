"""Nothing to call: the service learns from conversations by itself, and replaces what is no longer so."""

from memsvc_client import MemoryClient


def main() -> None:
    with MemoryClient.local("tmp/automatic_learning.db") as client:
        sarah = client.user("sarah")
        sarah.erase()

        said = [
            ("user", "My name is Sarah Chen and I live in Oslo."),
            ("assistant", "Nice to meet you, Sarah!"),
            ("user", "I work at Acme. I really like hiking."),
            ("assistant", "Oslo is a fine place for that."),
        ]
        # An agent does not wait: learning goes on in the background, and survives a crash.
        receipt = sarah.append_run("monday", said, wait=True)
        assert receipt.learning == "learned"
        for memory in sarah.memories.list():
            print(f"m{memory.number} {memory.layer}: {memory.memory}  (from {memory.input!r})")

        profile = sarah.get().profile
        assert profile["name"] == "Sarah Chen"
        assert profile["location"] == "Oslo"

        sarah.append_run("tuesday", [("user", "I moved to Bergen."), ("assistant", "Enjoy the rain!")], wait=True)
        profile = sarah.get().profile
        assert profile["location"] == "Bergen"
        assert "Oslo" not in sarah.context().text
        print("now:", profile)


if __name__ == "__main__":
    main()
