"""One agent with many users: each has a memory of their own, and nobody's is ever in another's."""

from memsvc_client import MemoryClient

SAID = {
    "sarah": "My name is Sarah. I live in Oslo.",
    "ben": "My name is Ben. I'm allergic to cats.",
    "chloé": "My name is Chloé. Please always answer briefly.",
}


def main() -> None:
    with MemoryClient.local("tmp/multi_user.db") as client:
        for user_id, line in SAID.items():
            client.user(user_id).erase()
            client.user(user_id).append_run("s1", [("user", line), ("assistant", "Hello!")])

        contexts = {user_id: client.user(user_id).context(wait=True).text for user_id in SAID}
        assert "Oslo" in contexts["sarah"]
        assert "cats" in contexts["ben"]
        assert "briefly" in contexts["chloé"]
        assert "Oslo" not in contexts["ben"] + contexts["chloé"]

        for user_id in client.users():
            stats = client.user(user_id).stats()
            print(f"{user_id}: {stats.memory_count} memories, {stats.run_count} runs")

        client.user("ben").erase()
        assert client.user("ben").get() is None
        assert "Oslo" in client.user("sarah").context().text


if __name__ == "__main__":
    main()
