from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import pytest
from msgspec.structs import replace

from memsvc.errors import Reason
from memsvc.extraction import authority
from memsvc.extraction.authority import Rights
from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.members import member_key
from memsvc.extraction.reconcile import PART_CHANGES, Reconciled, Source, Sources, reconcile
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import encode_body
from memsvc.journal.state import State, fold
from memsvc.limits import check_key, check_memory
from memsvc.model import Change, ChangeKind, Layer, Memory, Origin, Polarity, Refusal, Scope, Trust
from memsvc.storage.driver import Record, RecordKind
from memsvc.users.wordings import Wordings

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
        self.time_passed = 0

    def learn(
        self,
        *operations: Operation,
        at: int = NOW,
        quota: int = 1_000,
        rights: Rights | None = None,
        said: str = "",
        author_id: str = "",
        shown: Collection[int] | None = None,
    ) -> tuple[Change, ...]:
        source = Source(Origin(session_id="s1", engine="test", author_id=author_id), at, said)
        ids = {memory.number: memory.memory_id for memory in self.memories}
        seen = None if shown is None else {number: ids[number] for number in shown}
        sources = Sources([source], source, seen, bool(author_id))
        return self._learn(operations, sources, quota, rights or Rights(), None)[0]

    def learn_part(self, operations: Sequence[Operation], before: Reconciled | None) -> Reconciled:
        source = Source(Origin(engine="test"), NOW)
        return self._learn(operations, Sources([source], source), 1_000, Rights(), before)[1]

    def learn_all(self, operations: Sequence[Operation]) -> None:
        reached = self.learn_part(operations, None)
        while reached.next_operation < len(operations):
            reached = self.learn_part(operations, reached)

    def learn_from(self, operation: Operation, sources: Sources) -> None:
        self._learn([operation], sources, 1_000, Rights(), None)

    def put(self, memory_id: str, text: str | None) -> None:
        """Let a client create a memory, or delete it."""
        draft = self.draft(1_000)
        known = draft.find(memory_id)
        if known is not None:
            draft.delete(known)
        if text is not None:
            draft.create(Memory(memory_id=memory_id, number=0, layer=Layer.KNOWLEDGE, text=text))
        self.commit(draft, 0)

    def _learn(
        self, operations: Sequence[Operation], sources: Sources, quota: int, rights: Rights, before: Reconciled | None
    ) -> tuple[tuple[Change, ...], Reconciled]:
        draft = self.draft(quota)
        reconciled = reconcile(draft, operations, sources, rights, before)
        self.refusals = reconciled.refusals
        self.commit(draft, reconciled.unnamed_deletions)
        return draft.changes, reconciled

    def draft(self, quota: int = 1_000) -> Draft:
        seq = self.state.tip.seq + 1
        time = NOW * seq + self.time_passed
        return Draft(self.state, Moment(time, f"{seq:016x}", time), quota=quota)

    def commit(self, draft: Draft, unnamed_deletions: int = 0) -> None:
        moment, body = draft.moment, draft.body(unnamed_deletions=unnamed_deletions)
        record = Record(self.state.tip.seq + 1, moment.nonce, RecordKind.COMMIT, moment.time, encode_body(body))
        self.state = fold(self.state, record, body)

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


def test_wordings_of_other_memories_than_the_drafts_are_not_trusted(user: User) -> None:
    stale = Wordings.build(user.state.layers)
    user.learn(add("Likes sushi", layer=Layer.KNOWLEDGE))
    source = Source(Origin(engine="test"), NOW)
    draft = Draft(user.state, Moment(2 * NOW, "2", 2 * NOW), quota=10)
    operation = add("likes sushi", layer=Layer.KNOWLEDGE)
    for wordings in (stale, Wordings.build(user.state.layers), None):
        reconcile(draft, [operation], Sources([source], source), Rights(), wordings=wordings)
    assert draft.changes == ()


def test_what_is_forgotten_and_said_again_is_known_by_its_other_memory(user: User) -> None:
    user.learn(add("Likes sushi", layer=Layer.KNOWLEDGE), author_id="ann")
    user.learn(add("Likes sushi", layer=Layer.KNOWLEDGE), author_id="ben")
    user.learn(delete(number=2, layer=Layer.KNOWLEDGE), add("Likes sushi", layer=Layer.KNOWLEDGE), author_id="ann")
    assert user.texts == ["Likes sushi"]


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(delete(number=1, layer=Layer.KNOWLEDGE), id="delete"),
        pytest.param(
            Operation(action=Action.UPDATE, layer=Layer.KNOWLEDGE, number=1, text="Likes green tea"), id="update"
        ),
        pytest.param(add("Likes green tea", number=1, layer=Layer.KNOWLEDGE), id="add"),
    ],
)
def test_what_has_taken_the_id_of_a_memory_that_was_shown_is_not_meant(user: User, operation: Operation) -> None:
    user.put("drink", "Likes tea")
    user.put("drink", None)
    user.put("drink", "Likes coffee")
    # By the clock of who spoke, which need not be the server's: what is older would change nothing anyway.
    source = Source(Origin(engine="test"), 10 * NOW)
    user.learn_from(operation, Sources([source], source, {1: "drink"}))
    assert "Likes coffee" in user.texts


def test_a_contradiction_supersedes_what_is_at_its_key(user: User) -> None:
    user.learn(add("Lives in Paris", "location", '"Paris"'))
    (change,) = user.learn(add("Lives in Rome", "location", '"Rome"'), at=2 * NOW)
    assert change.kind is ChangeKind.UPDATED
    assert user.texts == ["Lives in Rome"]
    assert user.memories[0].number == 1


def test_an_older_statement_does_not_supersede_a_newer_one(user: User) -> None:
    user.time_passed = 10 * NOW
    user.learn(add("Lives in Rome", "location", '"Rome"'), at=5 * NOW)
    assert user.learn(add("Lives in Paris", "location", '"Paris"'), at=NOW) == ()
    assert user.texts == ["Lives in Rome"]


def test_lists_merge_by_element(user: User) -> None:
    user.learn(add("Speaks French", "languages", '["French"]'))
    user.learn(add("Speaks German, french", "languages", '["German", "french"]'), at=2 * NOW)
    memory = user.memories[0]
    assert memory.value_json == '["French", "German"]'
    assert "French, German" in memory.text


@pytest.mark.parametrize("said_first", ['["German"]', '"German"', ""])
@pytest.mark.parametrize("said_next", ['["French"]', '"French"', ""])
@pytest.mark.parametrize("key", ["languages", "stack.languages", "allergies"])
def test_what_a_list_gets_is_added_however_it_is_written(user: User, key: str, said_first: str, said_next: str) -> None:
    user.learn(add("German", key, said_first))
    user.learn(add("French", key, said_next), at=2 * NOW)
    (memory,) = user.memories
    assert json.loads(memory.value_json) == ["German", "French"]


def test_what_a_client_has_put_where_a_list_belongs_is_added_to(user: User) -> None:
    draft = user.draft()
    held = Memory(memory_id="m", number=0, layer=Layer.PROFILE, key="pets", value_json='"a dog"', text="Has a dog")
    draft.create(held)
    user.commit(draft)
    user.learn(add("Has a cat", "pets", '["a cat"]'), at=9 * NOW)
    (memory,) = user.memories
    assert json.loads(memory.value_json) == ["a dog", "a cat"]


@pytest.mark.parametrize("first", ['["Paris"]', '"Paris"', '["Paris", "Rome"]'])
@pytest.mark.parametrize("then", ['["Lyon"]', '"Lyon"'])
@pytest.mark.parametrize("key", ["location", "role"])
def test_what_has_one_value_is_replaced_however_it_is_written(user: User, key: str, first: str, then: str) -> None:
    user.learn(add("Paris", key, first))
    user.learn(add("Lyon", key, then), at=2 * NOW)
    (memory,) = user.memories
    assert memory.value_json == '"Lyon"'


@pytest.mark.parametrize(
    ("one", "other"),
    [("バスが好き", "パスが好き"), ("Likes má", "Likes mà"), ("ชอบข้าว", "ชอบขาว"), ("Sagt schon", "Sagt schön")],
)
def test_facts_that_differ_in_a_mark_are_two(user: User, one: str, other: str) -> None:
    for text in (one, other, one.upper(), f"{other}."):
        user.learn(add(text, layer=Layer.KNOWLEDGE))
    assert user.texts == [one, other]


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


@pytest.mark.parametrize("by_number", [False, True], ids=["by key", "by number"])
def test_what_is_inferred_never_replaces_or_deletes_what_was_stated(user: User, by_number: bool) -> None:
    user.learn(add("Lives in Paris", "location", '"Paris"'))
    number = 1 if by_number else 0
    inferred = Operation(
        action=Action.UPDATE,
        layer=Layer.PROFILE,
        number=number,
        key="location",
        text="Lives in Rome",
        value_json='"Rome"',
        trust=Trust.INFERRED,
    )
    gone = Operation(
        action=Action.DELETE,
        layer=Layer.PROFILE,
        number=number,
        key="" if by_number else "location",
        trust=Trust.INFERRED,
    )
    assert user.learn(inferred, gone, at=2 * NOW) == ()
    assert [(each.reason, each.count) for each in user.refusals] == [(Reason.OUTRANKED, 2)]
    user.learn(replace(inferred, trust=Trust.STATED), at=2 * NOW)
    assert user.texts == ["Lives in Rome"]


@pytest.mark.parametrize(
    "operation",
    [
        add("Lives in Paris", "location", '"Paris"'),
        Operation(action=Action.UPDATE, layer=Layer.PROFILE, number=1, text="Lives in Paris", key="location"),
        Operation(action=Action.UPDATE, layer=Layer.KNOWLEDGE, number=1, text="Lives in Paris"),
        Operation(action=Action.DELETE, layer=Layer.PROFILE, number=1),
        Operation(action=Action.DELETE, layer=Layer.PROFILE, key="location", quote="forget my location"),
        Operation(action=Action.DELETE, layer=Layer.PROFILE, topic="home", quote="forget my home"),
        Operation(action=Action.CLEAR, quote="forget everything"),
    ],
)
def test_what_is_older_never_replaces_or_deletes_what_is_newer(user: User, operation: Operation) -> None:
    user.time_passed = 10 * NOW
    user.learn(add("Lives in Rome", "location", '"Rome"', topics=("home",)), at=5 * NOW)
    user.learn(operation, at=NOW, rights=Rights(clear=True))
    assert "Lives in Rome" in user.texts
    assert [each.reason for each in user.refusals] == [Reason.OUTDATED]


def test_what_is_dated_ahead_is_replaced_by_what_is_said_now(user: User) -> None:
    user.learn(add("Lives in Rome", "location", '"Rome"'), at=1_000 * NOW)
    user.learn(add("Lives in Paris", "location", '"Paris"'), at=2 * NOW)
    assert (user.texts, user.refusals) == (["Lives in Paris"], ())


def test_a_few_memories_go_without_a_wish_to_forget_and_no_more(user: User) -> None:
    user.learn(*(add(f"Fact {n}") for n in range(9)))
    user.learn(*(delete(number=n) for n in range(1, 10)), rights=Rights(max_deletions=2))
    assert len(user.memories) == 7
    assert [(each.reason, each.count) for each in user.refusals] == [(Reason.TOO_MANY_DELETIONS, 7)]


@pytest.mark.parametrize("quote", ["Please forget all of these", "Lösch das bitte", "don't remember any of that"])
def test_all_that_the_user_wants_forgotten_goes(user: User, quote: str) -> None:
    user.learn(*(add(f"Fact {n}") for n in range(18)))
    user.learn(*(replace(delete(number=n), quote=quote) for n in range(1, 10)))
    assert (len(user.texts), user.refusals) == (9, ())


def test_what_comes_to_clearing_needs_its_permission_by_whatever_operation(user: User) -> None:
    everything = [replace(delete(number=n), quote="Forget everything about me") for n in range(1, 21)]
    user.learn(*(add(f"Fact {n}") for n in range(20)))
    user.learn(*everything)
    assert len(user.texts) == 10
    assert [(each.reason, each.count) for each in user.refusals] == [(Reason.OPERATION_FORBIDDEN, 10)]
    user.learn(*everything, rights=Rights(clear=True))
    assert user.texts == []


@pytest.mark.parametrize("quote", ["Forget everything about me", ""])
def test_however_often_it_is_wished_or_tried_half_of_all_stays(user: User, quote: str) -> None:
    user.learn(*(add(f"Fact {n}") for n in range(40)))
    for _ in range(20):
        everything = [replace(delete(number=memory.number), quote=quote) for memory in user.memories]
        user.learn(*everything)
    assert len(user.texts) == 20
    assert Reason.OPERATION_FORBIDDEN in {each.reason for each in user.refusals}


def test_what_is_learned_after_a_wish_to_forget_everything_stays_too(user: User) -> None:
    for round_ in range(10):
        user.learn(*(add(f"Fact {round_} {n}") for n in range(10)))
        user.learn(*(replace(delete(number=memory.number), quote="Forget all of it") for memory in user.memories))
    assert len(user.texts) == 50


def test_a_month_later_a_vague_wish_is_heard_again(user: User) -> None:
    user.learn(*(add(f"Fact {n}") for n in range(40)))
    wish = [replace(delete(number=number), quote="Forget all of it") for number in range(1, 41)]
    user.learn(*wish)
    month = 30 * 86_400 * 1_000_000
    user.time_passed = month - 10 * NOW
    user.learn(*wish)
    assert len(user.texts) == 20
    user.time_passed = month
    user.learn(*wish)
    assert len(user.texts) == 10


def test_what_the_users_words_name_goes_however_much_it_is(user: User) -> None:
    user.learn(*(add(f"Fact {n}") for n in range(20)))
    user.learn(*(replace(delete(number=n), quote="Forget these facts") for n in range(1, 21)))
    assert (user.texts, user.refusals) == ([], ())


def test_the_wish_may_stand_beside_the_quote_in_its_sentence(user: User) -> None:
    user.learn(*(add(f"Fact {n}", topics=("work",)) for n in range(9)))
    user.learn(replace(delete(topic="work"), quote="my work"), said="I'm tired. Please forget my work! I like it.")
    assert user.texts == []


def test_what_was_said_is_read_once_however_many_memories_it_may_be_about(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.learn_all([add(f"Fact {n}", topics=("work",)) for n in range(20)])
    read: list[str] = []
    sentence = authority._sentence
    monkeypatch.setattr(authority, "_sentence", lambda quote, said: read.append(quote) or sentence(quote, said))
    forget = Operation(action=Action.DELETE, layer=Layer.PROFILE, topic="work", quote="Forget my work")
    user.learn(forget, at=2 * NOW, said="Forget my work")
    assert not user.memories
    assert len(read) == 2


def test_only_memories_that_were_shown_can_be_named_by_number(user: User) -> None:
    user.learn(add("Skis"), add("Sails"))
    update = Operation(action=Action.UPDATE, layer=Layer.PROFILE, number=1, text="Surfs")
    user.learn(delete(number=1), update, shown={2})
    assert user.texts == ["Skis", "Sails", "Surfs"]
    user.learn(delete(number=2), shown={2})
    assert user.texts == ["Skis", "Surfs"]


@pytest.mark.parametrize("key", ["", "location"])
def test_what_has_expired_is_not_what_is_learned_anew(user: User, key: str) -> None:
    user.learn(add("Lives in Oslo", key))
    (before,) = user.memories
    draft = user.draft()
    draft.replace(before, replace(before, expire_time=1))
    user.commit(draft)
    user.learn(add("Lives in Oslo", key), at=2 * NOW)
    (after,) = user.memories
    assert (after.text, after.expire_time, after.number) == ("Lives in Oslo", 0, 2)


def test_a_list_takes_no_more_than_a_memory_may_hold_and_says_so(user: User) -> None:
    for start in range(0, 1_000, 100):
        words = [f"interest number {number}" for number in range(start, start + 100)]
        user.learn(add(f"Likes {', '.join(words)}", "interests", json.dumps(words)), at=start + NOW)
    (memory,) = user.memories
    check_memory(memory)
    assert user.refusals == (
        Refusal(Reason.REQUEST_TOO_LARGE, "a list of profile takes no more: it would pass a limit"),
    )


def test_a_list_with_half_a_character_can_be_added_to(user: User) -> None:
    user.learn(add("Likes one", "interests", r'["\ud83d"]'))
    user.learn(add("Likes two", "interests", '["two"]'), at=2 * NOW)
    (memory,) = user.memories
    assert json.loads(memory.value_json) == ["\ud83d", "two"]
    check_memory(memory)


@pytest.mark.parametrize("key", ["", "location"])
def test_dates_that_contradict_those_known_stand_alone(user: User, key: str) -> None:
    user.learn(add("Lives in Oslo", key, valid_from=700))
    user.learn(add("Lives in Oslo", key, valid_to=600), at=2 * NOW)
    (memory,) = user.memories
    check_memory(memory)
    assert (memory.valid_from, memory.valid_to) == (0, 600)


def test_what_is_said_anew_in_the_same_moment_leaves_facts_that_can_be_taken_elsewhere(user: User) -> None:
    for place in ("Berlin", "Oslo", "Rome"):
        user.learn(add(f"Lives in {place}", "location"))
    berlin, oslo = user.state.former.values()
    assert (berlin.text, oslo.text) == ("Lives in Berlin", "Lives in Oslo")
    for memory in (berlin, oslo):
        check_memory(memory)


def test_what_is_changed_and_then_forgotten_in_one_conversation_leaves_no_fact_of_the_past(user: User) -> None:
    user.learn(add("Works at Acme", "job"))
    forget = Operation(action=Action.DELETE, layer=Layer.PROFILE, key="job", quote="Forget my job")
    user.learn(add("Works at Globex", "job"), forget, at=2 * NOW, said="Forget my job")
    assert not list(user.state.all_memories())


def test_an_update_of_a_list_names_the_whole_list(user: User) -> None:
    user.learn(add("Speaks French, German", "languages", '["French", "German"]'))
    update = Operation(
        action=Action.UPDATE, layer=Layer.PROFILE, key="languages", text="Speaks German", value_json='["German"]'
    )
    user.learn(update, at=2 * NOW)
    assert [(memory.text, memory.value_json) for memory in user.memories] == [("Speaks German", '["German"]')]


def test_what_is_more_than_a_record_takes_goes_on_in_the_next(user: User) -> None:
    facts = [add(f"Fact {n}", topics=("junk",)) for n in range(600)]
    reached = user.learn_part(facts, None)
    assert reached.next_operation == len(user.memories) == PART_CHANGES
    while reached.next_operation < len(facts):
        reached = user.learn_part(facts, reached)
    assert len(user.memories) == 600

    forget = [replace(delete(topic="junk"), quote="forget the junk"), add("Skis")]
    reached = user.learn_part(forget, None)
    assert (reached.next_operation, len(user.memories)) == (0, 600 - PART_CHANGES)
    while reached.next_operation < len(forget):
        reached = user.learn_part(forget, reached)
    assert user.texts == ["Skis"]


def test_the_limit_of_deletions_holds_over_all_records(user: User) -> None:
    facts = [add(f"Fact {n}") for n in range(300)]
    user.learn_all(facts)
    more = [add(f"More {n}") for n in range(300)]
    user.learn_all([*(delete(number=n) for n in range(1, 4)), *more, delete(number=9)])
    assert "Fact 8" not in user.texts
    assert [each.reason for each in user.refusals] == []
    user.learn_all([*(delete(number=n) for n in range(20, 40)), *(add(f"Yet more {n}") for n in range(300))])
    assert [(each.reason, each.count) for each in user.refusals] == [(Reason.TOO_MANY_DELETIONS, 15)]


def test_what_members_of_a_team_say_is_kept_as_theirs(user: User) -> None:
    lives = add("Lives in Lyon", "location", '"Lyon"')
    user.learn(lives, author_id="caroline")
    user.learn(replace(lives, text="Lives in Rome", value_json='"Rome"'), author_id="bob", at=2 * NOW)
    user.learn(replace(lives, text="Lives in Nice", value_json='"Nice"'), author_id="caroline", at=3 * NOW)
    for author_id in ("caroline", "bob"):
        user.learn(add("Loves painting", layer=Layer.KNOWLEDGE), author_id=author_id)
    assert {(memory.key, memory.text, memory.origin.author_id) for memory in user.memories} == {
        ("members.caroline.location", "Lives in Nice", "caroline"),
        ("members.bob.location", "Lives in Rome", "bob"),
        ("", "Loves painting", "caroline"),
        ("", "Loves painting", "bob"),
    }


@pytest.mark.parametrize("key", ["location", "company", "stack.editor"])
def test_a_member_changes_what_is_shown_by_its_number_and_its_key(user: User, key: str) -> None:
    user.learn(add("Caroline has A", key, '"A"'), author_id="caroline")
    (shown,) = user.memories
    update = Operation(
        action=Action.UPDATE, layer=Layer.PROFILE, number=1, text="Caroline has B", key=shown.key, value_json='"B"'
    )
    user.learn(update, author_id="caroline", at=2 * NOW)
    user.learn(add("Caroline has C", shown.key, '"C"'), author_id="caroline", at=3 * NOW)
    assert [(memory.key, memory.value_json) for memory in user.memories] == [(f"members.caroline.{key}", '"C"')]
    # What Bob says of her is no more than a word of Bob's.
    user.learn(replace(update, text="Caroline has D", value_json='"D"'), author_id="bob", at=4 * NOW)
    assert {(memory.key, memory.text, memory.origin.author_id) for memory in user.memories} == {
        (f"members.caroline.{key}", "Caroline has C", "caroline"),
        ("", "Caroline has D", "bob"),
    }


@pytest.mark.parametrize(
    "operation",
    [
        Operation(action=Action.CLEAR, quote="forget everything about me"),
        Operation(action=Action.DELETE, layer=Layer.KNOWLEDGE, topic="work", quote="forget my work"),
        Operation(action=Action.DELETE, layer=Layer.PROFILE, key="company", quote="forget my company"),
    ],
)
def test_a_member_of_a_team_forgets_only_what_that_member_said(user: User, operation: Operation) -> None:
    for author_id in ("caroline", "bob"):
        fact = add("Works at Acme", "company", '"Acme"', topics=("work",))
        user.learn(fact, add("Is busy", layer=Layer.KNOWLEDGE, topics=("work",)), author_id=author_id)
    user.learn(operation, author_id="bob", rights=Rights(clear=True))
    kept = [memory for memory in user.memories if memory.origin.author_id == "caroline"]
    assert len(kept) == 2
    assert len(user.memories) < 4


@pytest.mark.parametrize(
    "author_ids", [("bob-1", "bob_1"), ("bob 1", "bob.1"), ("1", "m_1"), ("é", "è"), ("x" * 200, "x" * 201)]
)
def test_no_two_members_share_a_place(author_ids: tuple[str, str]) -> None:
    keys = [member_key(author_id, "location") for author_id in author_ids]
    assert keys[0] != keys[1]
    for key in keys:
        check_key("key", key)
