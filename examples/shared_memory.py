"""Two agents share what they know of a user: what one was told, the other knows, and who learned it can be seen."""

from memsvc_client import MemoryClient


def main() -> None:
    with MemoryClient.local("tmp/shared_memory.db") as client:
        travel = client.user("sarah", agent_id="travel")
        food = client.user("sarah", agent_id="food")
        travel.erase()

        travel.append_run("trip", [("user", "I'm allergic to shellfish."), ("assistant", "Noted.")], wait=True)
        food.append_run("dinner", [("user", "I really like ramen."), ("assistant", "Me too!")], wait=True)

        # Recall is by user: the agent is the origin of a memory, and never a wall.
        assert "shellfish" in food.context(query="Where to eat?").text
        assert "ramen" in travel.context().text
        agents = {memory.origin.agent_id for memory in food.memories.list()}
        assert agents == {"travel", "food"}

        # Whoever wants only its own asks for it.
        own = food.memories.list({"agent_ids": ["food"]})
        assert [memory.origin.agent_id for memory in own] == ["food"]
        print(food.context().text)


if __name__ == "__main__":
    main()
