"""Ways to search: the nearest by words and meaning, the newest, the oldest, what a model picks, and among some only."""

from memsvc_client import MemoryClient


def main() -> None:
    with MemoryClient.local("tmp/search_methods.db") as client:
        user = client.user("sarah")
        user.erase()
        memories = user.memories
        memories.add("Skis at Tahoe every winter", topics=["sport"])
        memories.add("Works at a bank in Oslo", topics=["work"])
        memories.add("Plays the cello in a quartet", topics=["music"])
        memories.add("Allergic to peanuts", topics=["health"])

        nearest = memories.search("Which instrument does she play?", limit=1)
        assert [hit.memory for hit in nearest] == ["Plays the cello in a quartet"]
        print(f"{nearest.method}: {nearest[0].memory} ({nearest[0].score:.2f})")

        by_words = memories.search("peanuts", method="lexical")
        assert by_words[0].memory == "Allergic to peanuts"

        last = memories.search(method="last_n", limit=2)
        first = memories.search(method="first_n", limit=2)
        assert [hit.memory for hit in last] == ["Allergic to peanuts", "Plays the cello in a quartet"]
        assert [hit.memory for hit in first] == ["Skis at Tahoe every winter", "Works at a bank in Oslo"]
        print("last:", [hit.memory for hit in last], "first:", [hit.memory for hit in first])

        picked = memories.search("What does she play?", method="agentic")  # a model picks, in one call
        assert [hit.memory for hit in picked] == ["Plays the cello in a quartet"]
        print("picked:", picked[0].memory, picked.usage)

        of_work = memories.search("winter in Oslo", filter={"topics_any": ["work"]})
        assert [hit.memory for hit in of_work] == ["Works at a bank in Oslo"]
        assert not memories.search("quantum chromodynamics", method="lexical")


if __name__ == "__main__":
    main()
