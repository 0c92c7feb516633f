from __future__ import annotations

import pytest

from memsvc.errors import Reason
from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.reconcile import Rights, Source, Sources, reconcile
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import encode_body
from memsvc.journal.state import State, fold
from memsvc.model import Change, ChangeKind, Layer, Memory, Origin, Polarity, Refusal, Scope, Trust
from memsvc.storage.driver import Record, RecordKind

NOW = 1_000


def add(text: str, key: str = "", value_json: str = "", layer: Layer = Layer.PROFILE, **more: object) -> Operation:
    return Operation(action=Action.ADD, layer=layer, text=text, key=key, value_json=value_json, **more)  # type: ignore[arg-type]


def delete(key: str = "", topic: str = "", number: int = 0, layer: Layer = Layer.PROFILE) -> Operation:
    return Operation(action=Action.DELETE, layer=layer, key=key, topic=topic, number=number)


class User:
    """A state that operations are applied to, as the worker does."""

    def __init__(self) -> None:
        self.state = State(Scope("default", "sarah"))
        self.refusals: tuple[Refusal, ...] = ()

    def learn(
        self, *operations: Operation, at: int = NOW, quota: int = 100, rights: Rights | None = None
    ) -> tuple[Change, ...]:
        seq = self.state.tip.seq + 1
        moment = Moment(NOW * seq, f"{seq:016x}", NOW * seq)
        draft = Draft(self.state, moment, quota=quota)
        source = Source(Origin(session_id="s1", engine="test"), at)
        self.refusals = reconcile(draft, operations, Sources([source], source), rights or Rights())
        body = draft.body()
        record = Record(seq, moment.nonce, RecordKind.COMMIT, moment.time, encode_body(body))
        self.state = fold(self.state, record, body)
        return draft.changes

    @property
    def memories(self) -> list[Memory]:
        return list(self.state.memories())

    @property
    def texts(self) -> list[str]:
        return [memory.text for memory in self.memories]


@pytest.fixture
def user() -> User:
    return User()


def test_a_fact_becomes_a_memory_with_its_origin(user: User) -> None:
    user.learn(add("Lives in Paris", "location", '"Paris"', quote="I live in Paris", topics=("location",)))
    memory = user.memories[0]
    assert (memory.text, memory.key, memory.value_json) == ("Lives in Paris", "location", '"Paris"')
    assert (memory.input, memory.topics, memory.origin.session_id) == ("I live in Paris", ("location",), "s1")
    assert memory.observe_time == NOW


def test_the_same_fact_again_changes_nothing(user: User) -> None:
    operation = add("Likes sushi", layer=Layer.KNOWLEDGE)
    user.learn(operation, operation)
    assert user.learn(add("likes  SUSHI.", layer=Layer.KNOWLEDGE)) == ()
    assert user.texts == ["Likes sushi"]


def test_a_contradiction_supersedes_what_is_at_its_key(user: User) -> None:
    user.learn(add("Lives in Paris", "location", '"Paris"'))
    (change,) = user.learn(add("Lives in Rome", "location", '"Rome"'), at=2 * NOW)
    assert change.kind is ChangeKind.UPDATED
    assert user.texts == ["Lives in Rome"]
    assert user.memories[0].number == 1


def test_an_older_statement_does_not_supersede_a_newer_one(user: User) -> None:
    user.learn(add("Lives in Rome", "location", '"Rome"'), at=5 * NOW)
    assert user.learn(add("Lives in Paris", "location", '"Paris"'), at=NOW) == ()
    assert user.texts == ["Lives in Rome"]


def test_lists_merge_by_element(user: User) -> None:
    user.learn(add("Speaks French", "languages", '["French"]'))
    user.learn(add("Speaks German, french", "languages", '["German", "french"]'), at=2 * NOW)
    memory = user.memories[0]
    assert memory.value_json == '["French", "German"]'
    assert "French, German" in memory.text


def test_an_update_by_number_replaces_that_memory(user: User) -> None:
    user.learn(add("Skis at Tahoe", layer=Layer.KNOWLEDGE))
    update = Operation(action=Action.UPDATE, layer=Layer.KNOWLEDGE, number=1, text="Skis at Kirkwood")
    user.learn(update)
    assert user.texts == ["Skis at Kirkwood"]


def test_a_delete_forgets_a_key_and_what_is_below_it(user: User) -> None:
    user.learn(add("Works at Acme", "work.company"), add("Is a nurse", "work.role"), add("Is Ava", "name"))
    user.learn(delete("work"))
    assert user.texts == ["Is Ava"]


def test_a_delete_forgets_by_topic_and_by_number(user: User) -> None:
    user.learn(add("Likes tea", topics=("Food",)), add("Skis"), add("Sails"))
    user.learn(delete(topic="food"), delete(number=3))
    assert user.texts == ["Skis"]


def test_a_delete_that_names_nothing_deletes_nothing(user: User) -> None:
    user.learn(add("Skis"))
    assert user.learn(delete(), delete(number=99), delete("nowhere")) == ()


def test_a_key_that_would_be_leaf_and_branch_is_kept_without_a_key(user: User) -> None:
    user.learn(add("Uses Python", "stack"))
    user.learn(add("Writes Go", "stack.languages", '["Go"]'))
    assert [memory.key for memory in user.memories] == ["stack", ""]


def test_what_breaks_a_limit_is_dropped_and_the_rest_is_kept(user: User) -> None:
    user.learn(add("x" * 9_000), add(" "), add("ok", "not a key"), add("bad", "k", "{"), add("Skis"))
    assert user.texts == ["Skis"]


def test_what_does_not_fit_the_quota_is_counted(user: User) -> None:
    user.learn(*(add(f"fact {n}") for n in range(5)), quota=3)
    assert len(user.memories) == 3
    assert [(each.reason, each.count) for each in user.refusals] == [(Reason.QUOTA_EXCEEDED, 2)]


def test_polarity_is_for_feedback_only(user: User) -> None:
    user.learn(
        add("Too long", layer=Layer.FEEDBACK, polarity=Polarity.NEGATIVE), add("Skis", polarity=Polarity.NEGATIVE)
    )
    assert {memory.text: memory.polarity for memory in user.memories} == {
        "Too long": Polarity.NEGATIVE,
        "Skis": Polarity.NONE,
    }


def test_a_known_fact_keeps_the_better_trust(user: User) -> None:
    user.learn(add("Skis", trust=Trust.INFERRED))
    user.learn(add("Skis", trust=Trust.STATED))
    assert [memory.trust for memory in user.memories] == [Trust.STATED]


def test_clearing_is_refused_aloud_unless_it_is_allowed(user: User) -> None:
    user.learn(add("Skis"), add("Is Ava", "name"))
    clear = Operation(action=Action.CLEAR, quote="forget everything")
    assert user.learn(clear) == ()
    assert [each.reason for each in user.refusals] == [Reason.OPERATION_FORBIDDEN]
    user.learn(clear, add("Sails"), rights=Rights(clear=True))
    assert (user.texts, user.refusals) == (["Sails"], ())
