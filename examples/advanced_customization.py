"""What is learned and shown is configured: layers, nested schemas and prompts; of an agent, of one call."""

from dataclasses import dataclass

from memsvc_client import InvalidArgument, MemoryClient, Reason


@dataclass
class Stack:
    languages: list[str]
    editor: str | None = None


@dataclass
class EngineerProfile:
    name: str
    role: str
    years: int
    stack: Stack  # nested: its keys are stack.languages and stack.editor


def main() -> None:
    with MemoryClient.local("tmp/advanced_customization.db", namespace="engineering") as client:
        config = client.config.update(
            profile_schema=EngineerProfile,
            policies_prompt="Only standing wishes about code, reviews and answers.",
            feedback_learned=False,
            capture_instructions="Never keep salaries.",
            update_memory_on_run=True,
        )
        print("in force:", config.in_force.mode, list(config.settings.profile.schema["properties"]))
        reviewer = client.config.update(agent_id="reviewer", policies_shown=False, allow_delete=False)
        assert reviewer.in_force.feedback.learned is False  # the rest is the namespace's
        marcus = client.user("marcus")
        marcus.erase()
        said = "My name is Marcus. I'm a Staff Engineer. Please always keep it short."
        marcus.append_run("s1", [("user", said)], wait=True)
        marcus.memories.upsert("profile", "stack.languages", value=["Python", "Go"])
        try:
            marcus.memories.upsert("profile", "years", value="many")
        except InvalidArgument as error:
            refused = error.reason
        assert refused == Reason.SCHEMA_VIOLATION
        document = marcus.get()
        assert document.profile["stack"] == {"languages": ["Python", "Go"]}
        assert "years" not in document.profile
        for_all = marcus.context().text
        assert "Python" in for_all
        assert "short" in for_all
        assert "short" not in client.user("marcus", agent_id="reviewer").context().text
        assert "Python" not in marcus.context(settings={"profile_shown": False}).text
        client.config.update(enabled=False)
        assert marcus.context().text == ""
        assert len(marcus.memories.list()) > 2  # what there is stays
        client.config.update(enabled=None)  # cleared: the server's default is heard again
        assert marcus.context().text == for_all


if __name__ == "__main__":
    main()
