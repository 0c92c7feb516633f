from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from fake_memory_service import FakeMemoryService, Running, start

from memsvc_client import (
    AsyncMemoryClient,
    Consistency,
    ExtractionKind,
    Layer,
    LearningState,
    MemoryClient,
    NotFound,
    Polarity,
    SearchHit,
    User,
    create,
    delete,
    update,
)


def test_the_lines_of_the_quick_start_work_as_written(running: Running) -> None:
    with MemoryClient(running.target) as client:
        sarah = client.user("sarah", agent_id="support")
        sarah.append_run(session_id="s1", messages=[("user", "Hi"), ("assistant", "Hello")])
        receipt = sarah.append_run(session_id="s1", messages=[("user", "I ski")], wait=True)
        memory_id = sarah.memories.add("Skis at Tahoe", topics=["hobbies"])
        assert sarah.context(query="How do I clean data?").text == "Skis at Tahoe\n"
        sarah.memories.replace(memory_id, "Skis at Kirkwood")
        other_id = sarah.memories.add("Likes tea")
        hits = sarah.memories.search("where skis")
        latest = sarah.memories.search(method="last_n", limit=1)
        listed = [(memory.memory, memory.topics) for memory in sarah.memories.list()]
        document = sarah.get()
        history = sarah.history("s1", last_runs=3)
        sarah.memories.delete(memory_id)

    assert receipt.learning is LearningState.LEARNED
    assert receipt.commit is not None
    assert [hit.memory for hit in hits] == ["Skis at Kirkwood"]
    assert [hit.memory_id for hit in latest] == [other_id]
    assert listed == [("Skis at Kirkwood", ("hobbies",)), ("Likes tea", ())]
    assert document is not None
    assert document.to_dict() == {"knowledge": {"notes": ["Skis at Kirkwood", "Likes tea"]}}
    assert history == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "I ski"},
    ]


def test_a_user_without_memories_has_no_document(sarah: User) -> None:
    assert sarah.get() is None


def test_what_a_handle_writes_comes_from_its_agent_and_team(client: MemoryClient) -> None:
    user = client.user("sarah", agent_id="support", team_id="helpdesk")
    added = user.memories.get(user.memories.add("Likes tea"))
    batched = user.memories.batch([create("Likes coffee")]).changes[0].memory
    upserted = user.memories.upsert("profile", "role", value="Engineer")
    user.append_run("s1", [("user", "Hi")])

    assert (added.agent_id, added.team_id) == ("support", "helpdesk")
    assert batched is not None
    assert batched.agent_id == "support"
    assert upserted.user_id == "sarah"
    assert user.runs("s1")[0].agent_id == "support"


def test_a_batched_update_that_may_create_comes_from_the_agent_and_team_too(
    client: MemoryClient, service: FakeMemoryService
) -> None:
    user = client.user("sarah", agent_id="support", team_id="helpdesk")
    user.memories.batch(
        [
            update(layer="profile", key="role", text="Engineer", allow_missing=True),
            update("m-1", text="Likes tea"),
        ]
    )
    upserted, changed = service.received("BatchWriteMemories")[0].request.operations

    assert (upserted.update.memory.origin.agent_id, upserted.update.memory.origin.team_id) == ("support", "helpdesk")
    assert not changed.update.memory.HasField("origin")


def test_a_memory_goes_in_and_comes_out_whole(sarah: User) -> None:
    said = datetime(2024, 5, 1, 12, tzinfo=UTC)
    memory_id = sarah.memories.add(
        "Uses Python and Go",
        layer="profile",
        key="stack.languages",
        value=["Python", "Go"],
        topics=["work"],
        input="I write Python and Go",
        polarity=Polarity.POSITIVE,
        metadata={"source": "form"},
        observe_time=said,
        expire_time=said + timedelta(days=1),
    )

    memory = sarah.memories.get(layer=Layer.PROFILE, key="stack.languages")

    assert memory.memory_id == memory_id
    assert memory.value == ["Python", "Go"]
    assert memory.layer is Layer.PROFILE
    assert memory.polarity is Polarity.POSITIVE
    assert memory.observe_time == said
    assert memory.expire_time == said + timedelta(days=1)
    assert memory.update_time is not None
    assert memory.update_time.tzinfo is UTC
    as_dict = memory.to_dict()
    assert {"memory_id", "memory", "topics", "input", "user_id", "agent_id", "team_id", "updated_at"} <= set(as_dict)
    assert as_dict["updated_at"].endswith("+00:00")


def test_an_update_names_just_the_fields_given_and_none_clears_one(sarah: User, service: FakeMemoryService) -> None:
    memory_id = sarah.memories.add("Likes tea", topics=["drinks"], metadata={"a": "b"})

    changed = sarah.memories.update(memory_id, text="Likes green tea", topics=None)

    assert list(service.received("UpdateMemory")[0].request.update_mask.paths) == ["text", "topics"]
    assert (changed.memory, changed.topics, changed.metadata) == ("Likes green tea", (), {"a": "b"})


def test_replacing_a_text_drops_the_value_that_went_with_it(sarah: User) -> None:
    memory_id = sarah.memories.add("Name is Sarah", layer="profile", key="name", value="Sarah")
    assert sarah.memories.replace(memory_id, "Name is Sara").value == "Name is Sara"


def test_an_upsert_says_a_value_in_words_where_no_text_does(sarah: User) -> None:
    first = sarah.memories.upsert("profile", "languages", value=["German", "French"])
    second = sarah.memories.upsert("profile", "languages", "Speaks German only")

    assert first.memory == "languages: German, French"
    assert (second.memory_id, second.value) == (first.memory_id, "Speaks German only")


def test_a_list_fetches_pages_only_as_they_are_needed(sarah: User, service: FakeMemoryService) -> None:
    for number in range(5):
        sarah.memories.add(f"Fact {number}")

    memories = sarah.memories.list(page_size=2)
    assert service.received("ListMemories") == []
    assert memories[0].memory == "Fact 0"
    assert len(service.received("ListMemories")) == 1
    assert [memory.memory for memory in memories] == ["Fact 0", "Fact 1", "Fact 2", "Fact 3", "Fact 4"]
    assert len(memories) == 5
    assert [call.request.page_token for call in service.received("ListMemories")] == ["", "2", "4"]


def test_a_filter_is_a_dict_of_its_fields(sarah: User) -> None:
    sarah.memories.add("Skis", topics=["hobbies"])
    sarah.memories.add("Works at Acme", topics=["work"])
    assert [each.memory for each in sarah.memories.list({"topics_any": ["work"]})] == ["Works at Acme"]


def test_a_search_says_how_it_searched_and_hits_are_memories_with_scores(sarah: User) -> None:
    sarah.memories.add("Skis at Tahoe")
    hits = sarah.memories.search("tahoe skis")

    assert isinstance(hits[0], SearchHit)
    assert (hits[0].memory, hits[0].score, hits.method) == ("Skis at Tahoe", 2.0, "lexical")


def test_a_batch_is_one_commit(sarah: User) -> None:
    memory_id = sarah.memories.add("Likes tea")
    commit = sarah.memories.batch([create("Likes coffee", topics=["drinks"]), delete(memory_id)])

    assert [change.kind for change in commit.changes] == ["created", "deleted"]
    assert [memory.memory for memory in sarah.memories.list()] == ["Likes coffee"]


def test_deleting_what_is_not_there_is_not_found_unless_that_is_fine(sarah: User) -> None:
    with pytest.raises(NotFound):
        sarah.memories.delete("nothing")
    sarah.memories.delete("nothing", allow_missing=True)


def test_clear_wants_a_filter_or_all(sarah: User) -> None:
    sarah.memories.add("Likes tea")
    with pytest.raises(ValueError, match="filter, or all"):
        sarah.memories.clear()
    with pytest.raises(ValueError, match="filter, or all"):
        sarah.memories.clear({"layers": ["profile"]}, all=True)
    assert sarah.memories.clear(all=True, validate_only=True) == 1
    assert sarah.memories.clear(all=True) == 1
    assert sarah.get() is None


def test_a_context_that_did_not_change_is_not_sent_again(sarah: User) -> None:
    sarah.memories.add("Likes tea")
    first = sarah.context()
    second = sarah.context(etag=first.etag)

    assert str(first) == "Likes tea\n"
    assert first.sections[0].stable
    assert (second.unchanged, second.text) == (True, "")


def test_a_context_request_says_all_that_was_asked(sarah: User, service: FakeMemoryService) -> None:
    sarah.context(
        "How?",
        layers=["profile"],
        format="markdown",
        max_tokens=100,
        history="s1",
        shared_user_ids=["team:support"],
        wait=2,
        wrapper=False,
        consistency=Consistency(max_staleness=1.5),
    )
    request = service.received("CompileContext")[0].request

    assert (request.budget.max_tokens, request.wrapper, request.format) == (100, False, 2)
    assert (request.history.session_id, request.history.last_runs) == ("s1", 3)
    assert request.wait_for_learning.seconds == 2
    assert request.consistency.max_staleness.ToMilliseconds() == 1500


def test_the_rest_of_a_user_answers_too(client: MemoryClient, sarah: User) -> None:
    sarah.memories.add("Likes tea", topics=["drinks"])
    sarah.append_run("s1", [("user", "Hi")])

    assert [(each.topic, each.count) for each in sarah.topics()] == [("drinks", 1)]
    assert [commit.revision for commit in sarah.changes()] == [1]
    assert [session.session_id for session in sarah.sessions()] == ["s1"]
    assert sarah.stats().layers == {Layer.KNOWLEDGE: 1}
    assert sarah.delete_session("s1").deleted_run_count == 1
    assert list(client.users()) == ["sarah"]
    assert client.server_info().driver == "fake"
    assert sarah.erase().erased_memory_count == 1


def test_what_a_newer_server_says_reads_as_unknown(sarah: User) -> None:
    assert sarah.extractions.get("x-1").kind is ExtractionKind.UNKNOWN


def test_a_default_user_is_only_who_was_given_explicitly(running: Running) -> None:
    with MemoryClient(running.target, default_user="ava") as client:
        assert client.user().user_id == "ava"
        with pytest.raises(ValueError, match="no user"):
            client.user("")
    with MemoryClient(running.target) as client, pytest.raises(ValueError, match="default_user"):
        client.user()


def test_a_name_that_is_no_string_is_named(client: MemoryClient) -> None:
    with pytest.raises(TypeError, match="user_id must be a string, not 5"):
        client.user(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="agent_id must be a string"):
        client.user("sarah", agent_id=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="team_id must be a string"):
        client.user("sarah", team_id=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="namespace must be a string"):
        MemoryClient("unix:///nowhere", namespace=5)  # type: ignore[arg-type]


def test_a_call_carries_namespace_token_authority_and_deadline(running: Running) -> None:
    with MemoryClient(running.target, namespace="acme", token="secret", timeout_seconds=700) as client:
        client.user("sarah").stats()
        client.user("sarah").stats(timeout=300)
        client.user("sarah").append_run("s1", [("user", "Hi")], wait=2000)
    first, second, waiting = running.service.calls

    assert first.request.scope.namespace == "acme"
    assert first.metadata["authorization"] == "Bearer secret"
    assert first.seconds_left == pytest.approx(700, abs=60)
    assert second.seconds_left == pytest.approx(300, abs=60)
    assert waiting.seconds_left == pytest.approx(2700, abs=60)


@pytest.mark.parametrize("seconds", [1e8, 1e12, 1e300])
async def test_a_deadline_of_any_length_is_one(seconds: float, running: Running) -> None:
    with MemoryClient(running.target, timeout_seconds=seconds, context_timeout_seconds=seconds) as client:
        memory_id = client.user("sarah").memories.add("Skis", timeout=seconds)
        assert [each.memory_id for each in client.user("sarah").memories.list(timeout=seconds)] == [memory_id]
        assert [each.memory_id for each in client.user("sarah").memories.list()] == [memory_id]
        assert client.user("sarah").context(or_empty=True).text == "Skis\n"
    async with AsyncMemoryClient(running.target, timeout_seconds=seconds, context_timeout_seconds=seconds) as other:
        assert (await other.user("sarah").memories.get(memory_id, timeout=seconds)).memory == "Skis"
        assert (await other.user("sarah").context(or_empty=True)).text == "Skis\n"


def test_a_client_speaks_tcp_as_well() -> None:
    server, port = start(FakeMemoryService(), "127.0.0.1:0")
    with MemoryClient(f"127.0.0.1:{port}") as client:
        assert client.server_info().driver == "fake"
    server.stop(None).wait()


def holding_itself() -> list[object]:
    held: list[object] = []
    held.append(held)
    return held


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda user: user.memories.get(), "memory_id, or by layer and key"),
        (lambda user: user.memories.get("m", layer="profile", key="role"), "memory_id, or by layer and key"),
        (lambda user: user.memories.add("x", layer="profil"), "'profil' is no Layer: one of profile, policy"),
        (lambda user: user.memories.add("x", topics="hobbies"), "topics must be a list"),
        (lambda user: user.memories.add("x", topics=5), "topics must be a list of strings, not 5"),
        (lambda user: user.memories.add("x", topics=["a", 5]), r"topics\[1\] must be a string, not 5"),
        (lambda user: user.memories.add("x", metadata={"a": 1}), r"metadata\['a'\] must be a string, not 1"),
        (lambda user: user.memories.add("x", metadata={1: "a"}), "a key of metadata must be a string, not 1"),
        (lambda user: user.memories.add("x", metadata=["a"]), "metadata must be a dict of strings"),
        (lambda user: user.memories.add("x", trust=1), "trust must be a string, not 1"),
        (lambda user: user.memories.list({"metadata": {"a": 1}}), r"metadata\['a'\] must be a string"),
        (lambda user: user.memories.list({"layers": ["profile", 3]}), r"layers\[1\] must be a string, not 3"),
        (lambda user: user.memories.batch(["x"]), r"operations\[0\] must be made by create, update or delete, not 'x'"),
        (lambda user: user.append_run("s1", [("user", "Hi")], learning_mode=False), "learning_mode must be a string"),
        (lambda user: user.append_run("s1", [("user", "Hi")], metadata={"a": 1}), r"metadata\['a'\] must be a string"),
        (lambda user: user.memories.add("x", topic=["a"]), "no field topic"),
        (lambda user: user.memories.add("x", value=float("nan")), "value has no form in JSON"),
        (lambda user: user.memories.add("x", value={1, 2}), "value has no form in JSON: Object of type set"),
        (lambda user: user.memories.add("x", value="half \ud800"), "value has half of a character"),
        (lambda user: user.memories.upsert("profile", "role", value=Decimal(1)), "value has no form in JSON"),
        (lambda user: user.memories.upsert("profile", "role", value=[holding_itself()]), "value is nested too deeply"),
        (lambda user: user.memories.upsert("profile", "role", value=nested(100_000)), "value is nested too deeply"),
        (lambda user: user.memories.update("m", value={"a": b"x"}), "value has no form in JSON"),
        (lambda user: user.memories.add("x", observe_time=datetime(2024, 1, 1)), "no time zone"),
        (lambda user: user.memories.add("x", ttl=5, expire_time=datetime.now(UTC)), "one of them"),
        (lambda user: user.memories.update("m"), "nothing to update"),
        (lambda user: user.memories.upsert("profile", "role"), "value or a text"),
        (lambda user: user.memories.search("x", limit=0), "at least 1"),
        (lambda user: user.memories.list({"topic": ["a"]}), "no field topic"),
        (lambda user: user.context(max_tokens=1, max_characters=1), "not both"),
        (lambda user: user.context(wait=-1), "wait must be from 0"),
        (lambda user: user.get(consistency=Consistency()), "exactly one"),
        (lambda user: user.extract(), "from run_ids"),
        (lambda user: user.history("s1", last_runs=0), "at least 1"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    sarah: User, service: FakeMemoryService, wrong: object, says: str
) -> None:
    assert callable(wrong)
    with pytest.raises((TypeError, ValueError), match=says):
        wrong(sarah)
    assert service.calls == []
