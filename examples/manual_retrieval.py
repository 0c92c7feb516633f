"""A prompt of one's own: memories are read by hand, and put where the agent wants them."""

from memsvc_client import MemoryClient


def main() -> None:
    with MemoryClient.local("tmp/manual_retrieval.db") as client:
        user = client.user("sarah")
        user.erase()
        user.memories.upsert("profile", "name", "Name is Sarah", value="Sarah")
        user.memories.add("Answer in English", layer="policy")
        user.memories.add("Skis at Tahoe every winter", topics=["sport"])
        user.memories.add("Examples in Python worked well", layer="feedback", polarity="positive")

        question = "What shall I do this winter?"
        hits = user.memories.search(question, limit=3, filter={"layers": ["knowledge"]})
        rules = user.memories.list({"layers": ["policy"]})
        name = user.memories.get(layer="profile", key="name").value
        prompt = "\n".join(
            [
                f"You talk to {name}.",
                *(f"Rule: {rule.memory}" for rule in rules),
                *(f"Known since {hit.create_time:%Y-%m-%d}: {hit.memory}" for hit in hits),
            ]
        )
        print(prompt)
        assert prompt.startswith("You talk to Sarah.\nRule: Answer in English\nKnown since ")
        assert "Tahoe" in prompt

        # Or the blocks of single layers, in another form and within a budget.
        block = user.context(layers=["feedback"], format="markdown", wrapper=False, max_characters=400).text
        assert "Examples in Python" in block
        print(block)


if __name__ == "__main__":
    main()
