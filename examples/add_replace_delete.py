"""Memories by hand: add, replace, delete and clear them, with topics, keys and an undo."""

from memsvc_client import AlreadyExists, MemoryClient, create, update


def main() -> None:
    with MemoryClient.local("tmp/add_replace_delete.db") as client:
        user = client.user("jane")
        user.erase()
        memories = user.memories

        gym = memories.add("Goes to the gym on Mondays", topics=["sport", "habits"])
        memories.add("Likes detective stories", topics=["books"])
        assert memories.add("Goes to the gym on Mondays") == gym  # the same text is one memory

        memories.replace(gym, "Goes to the gym on Fridays")
        assert memories.get(gym).memory == "Goes to the gym on Fridays"

        memories.upsert("profile", "stack.languages", value=["Python"])
        memories.upsert("profile", "stack.languages", value=["Python", "Go"])
        assert user.get().profile == {"stack": {"languages": ["Python", "Go"]}}
        try:
            memories.add("Writes Rust", layer="profile", key="stack.languages")
        except AlreadyExists as taken:
            print("taken:", taken.message)

        # All or nothing, in one step.
        memories.batch([create("Has a cat", topics=["pets"]), update(gym, topics=["sport"])])
        print("topics:", {topic.topic: topic.count for topic in user.topics()})
        assert [memory.memory for memory in memories.list({"topics_any": ["pets"]})] == ["Has a cat"]

        memories.delete(gym)
        assert len(memories.list()) == 3
        memories.undo()
        assert memories.get(gym).topics == ("sport",)

        assert memories.clear({"topics_any": ["books", "pets"]}) == 2
        assert memories.clear(all=True) == 2
        assert user.get() is None


if __name__ == "__main__":
    main()
