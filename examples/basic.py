"""The first steps: remember something about a user, find it again, put it into a prompt, forget it."""

from memsvc_client import MemoryClient


def main() -> None:
    with MemoryClient.local("tmp/basic.db") as client:  # or MemoryClient("unix:///run/memsvc/memsvc.sock")
        sarah = client.user("sarah")
        sarah.erase()  # what an earlier run of this example left

        skis = sarah.memories.add("Skis at Tahoe every winter", topics=["sport"])
        sarah.memories.upsert("profile", "role", "Works as a data engineer", value="data engineer")
        sarah.memories.add("Answer in short sentences", layer="policy")

        hits = sarah.memories.search("What does she do in winter?")
        assert hits[0].memory_id == skis
        print("found:", hits[0].memory)

        prompt = sarah.context(query="winter plans").text
        assert "Skis at Tahoe" in prompt
        assert "data engineer" in prompt
        print(prompt)

        assert sarah.get().to_dict()["profile"] == {"role": "data engineer"}

        sarah.memories.delete(skis)
        assert "Tahoe" not in sarah.context().text
        print("forgotten:", skis)


if __name__ == "__main__":
    main()
