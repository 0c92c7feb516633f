"""Memory outlives the conversation, the client and the server."""

from memsvc_client import MemoryClient

FILE = "tmp/persistence.db"


def monday() -> None:
    with MemoryClient.local(FILE) as client:
        sarah = client.user("sarah")
        sarah.erase()
        said = [("user", "I'm allergic to peanuts. Please always answer in French."), ("assistant", "Bien sûr !")]
        sarah.append_run("monday", said, wait=True)


def friday() -> None:
    # Another client and, once the first one is closed, another server: all that they have in common is the file.
    with MemoryClient.local(FILE) as client:
        sarah = client.user("sarah")
        context = sarah.context(query="What can I cook?", history="friday").text
        assert "peanuts" in context
        assert "French" in context
        assert sarah.history("friday") == []
        assert [message["role"] for message in sarah.history("monday")] == ["user", "assistant"]
        print(context)


if __name__ == "__main__":
    monday()
    friday()
