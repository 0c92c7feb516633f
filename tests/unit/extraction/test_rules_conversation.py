"""How the rules engine treats a conversation as a whole, and what is known already."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from reading_rules import events, facts, learned, user

from memsvc.extraction.engine import Action, Finished, Proposal
from memsvc.model import Layer, Memory, Usage


def memory(number: int, text: str, layer: Layer = Layer.KNOWLEDGE, key: str = "", value_json: str = "") -> Memory:
    return Memory(memory_id=f"id{number}", number=number, layer=layer, text=text, key=key, value_json=value_json)


SUSHI = memory(7, "Likes sushi")
ACME = memory(3, "Works at Acme", Layer.PROFILE, "company", '"Acme"')
FRENCH = memory(4, "Speaks French", Layer.PROFILE, "languages", '["French"]')


def test_proposals_come_first_and_finished_last_with_no_usage() -> None:
    *proposals, finished = events([user("My name is Ava and I like to ski")])
    assert isinstance(finished, Finished)
    assert (finished.usage, finished.model) == (Usage(), "")
    assert [proposal.operation for proposal in proposals if isinstance(proposal, Proposal)] == list(finished.operations)


def test_a_fact_said_twice_is_learned_once() -> None:
    assert facts("I love sushi!", "I LOVE SUSHI", "i love sushi") == ["Likes sushi"]


def test_a_later_statement_wins() -> None:
    assert facts("I live in Paris", "I live in Rome") == ['profile.location="Rome"']
    assert facts("I like sushi", "actually I don't like sushi") == ["Dislikes sushi"]


def test_lists_grow() -> None:
    operations = learned("I speak English", "I have a dog", "I also speak German")
    assert [(operation.text, operation.value_json) for operation in operations] == [
        ("Has a dog", '["a dog"]'),
        ("Speaks English, German", '["English","German"]'),
    ]


def test_what_is_known_is_not_proposed_again() -> None:
    assert facts("I love sushi", "I work at ACME", "I speak french", known=(SUSHI, ACME, FRENCH)) == []


def test_known_lists_are_added_to() -> None:
    assert facts("I speak german", known=(FRENCH,)) == ['profile.languages=["French","German"]']


def test_saying_again_what_is_known_takes_back_what_was_said_between() -> None:
    assert facts("I work at Globex", "No, I work at Acme", known=(ACME,)) == []


def test_a_known_liking_is_forgotten_when_it_is_denied() -> None:
    (deleted,) = learned("I don't like sushi anymore", known=(SUSHI,))
    assert (deleted.action, deleted.number) == (Action.DELETE, 7)
    added = learned("I don't like sushi", known=(SUSHI,))
    assert [(each.action, each.number, each.text) for each in added] == [
        (Action.DELETE, 7, ""),
        (Action.ADD, 0, "Dislikes sushi"),
    ]


def test_leaving_a_company_deletes_that_company_only() -> None:
    for said in ("I no longer work at Acme", "I don't work for Acme anymore", "I left Acme"):
        deleted = learned(said, known=(ACME,))[0]
        assert (deleted.action, deleted.number) == (Action.DELETE, 3)
    for said in ("I no longer work at Globex", "I left Globex"):
        assert all(operation.action is Action.ADD for operation in learned(said, known=(ACME,)))


def test_forgetting_a_subject_names_its_keys_and_topic() -> None:
    operations = learned("Forget my workplace details")
    assert all(operation.action is Action.DELETE for operation in operations)
    assert {"company", "role", "workplace"} <= {operation.key for operation in operations}
    assert [operation.topic for operation in operations if operation.topic] == ["work"]


@pytest.mark.parametrize(
    "said", ["Forget that I like sushi", "please forget I like sushi", "Can you forget about my sushi thing"]
)
def test_forgetting_a_fact_names_the_memory(said: str) -> None:
    known = (SUSHI, memory(8, "Likes sashimi"))
    if "thing" in said:
        known = (memory(7, "Sushi thing on Fridays"), *known[1:])
    (operation,) = learned(said, known=known)
    assert (operation.action, operation.number) == (Action.DELETE, 7)


def test_forgetting_takes_back_what_the_same_conversation_said() -> None:
    assert facts("I like sushi and I like jazz", "forget that I like sushi") == ["Likes jazz"]


def test_forgetting_one_of_a_list_names_the_list_that_is_left() -> None:
    known = memory(4, "Speaks French, German", Layer.PROFILE, "languages", '["French","German"]')
    for said in ("forget that I speak french", "I no longer speak French", "I don't speak French anymore"):
        (left,) = learned(said, known=(known,))
        assert (left.action, left.text, left.value_json) == (Action.UPDATE, "Speaks German", '["German"]')
    deleted, left = learned("I don't speak French anymore", "I don't speak German anymore", known=(known,))[0], ()
    assert (deleted.action, deleted.number) == (Action.DELETE, 4)


@pytest.mark.parametrize(
    "said",
    [
        "Remove my name from the list.",
        "Please clear my home directory.",
        "Delete my email from the thread",
        "Can you delete my dog picture?",
        "Erase my car from the photo",
        "Remove my address from the invoice",
        "Clear my browser history",
        "Delete my school folder",
    ],
)
def test_requests_to_work_on_something_delete_nothing(said: str) -> None:
    known = (
        memory(1, "Has a dog", Layer.PROFILE, "pets", '["a dog"]'),
        memory(2, "Name is Ava", Layer.PROFILE, "name", '"Ava"'),
    )
    assert facts(said, known=known) == []


@pytest.mark.parametrize(
    ("said", "key"),
    [("Forget my name", "name"), ("Delete my phone number from your memory", "phone"), ("forget my job", "company")],
)
def test_requests_to_forget_delete(said: str, key: str) -> None:
    assert key in {operation.key for operation in learned(said) if operation.action is Action.DELETE}


def known_facts(*said: str) -> list[Memory]:
    """Return what these sentences teach, as memories."""
    return [
        replace(memory(number, each.text, each.layer, each.key, each.value_json), input=each.quote)
        for number, each in enumerate(learned(*said), 1)
    ]


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("I live in Lyon, not Paris.", 'profile.location="Lyon"'),
        ("I work at Apple and not at Google", 'profile.company="Apple"'),
        ("My wife's name is Ana, not Anna!", 'profile.partner="Ana"'),
        ("My name isn't Bob, it's Rob.", 'profile.name="Rob"'),
        ("No, I'm not a doctor but a nurse", 'profile.role="nurse"'),
        ("My email is not a@x.org, it's b@x.org", 'profile.email="b@x.org"'),
        ("We just moved from Paris to Lyon", 'profile.location="Lyon"'),
        ("It turns out that I'm allergic to milk", 'profile.allergies=["milk"]'),
    ],
)
def test_what_is_so_is_learned_beside_what_is_not(said: str, fact: str) -> None:
    assert facts(said) == [fact]


@pytest.mark.parametrize(
    "said",
    [
        "I'm vegan, not always",
        "I live in Paris, not!",
        "I'm not tired but hungry",
        "I'm vegan, but not because I like it",
    ],
)
def test_what_limits_a_statement_or_takes_it_back_is_part_of_it(said: str) -> None:
    assert facts(said) in ([], ['profile.diet="vegan"'] if "because" in said else [])


@pytest.mark.parametrize(
    ("said", "denied", "key"),
    [
        ("I live in Paris", "I don't live in Paris", "location"),
        ("I live in Berlin, Germany", "But we don't live in Berlin!", "location"),
        ("I'm a nurse", "I'm not a nurse", "role"),
        ("My name is Bob", "My name is not Bob.", "name"),
        ("I'm allergic to peanuts", "Turns out I'm not allergic to peanuts", "allergies"),
        ("I have a dog", "I do not have a dog", "pets"),
    ],
)
def test_a_known_fact_ends_when_it_is_denied(said: str, denied: str, key: str) -> None:
    (ended,) = learned(denied, known=known_facts(said))
    assert (ended.action, ended.key, ended.number) == (Action.DELETE, key, 1)
    assert facts(said, denied) == []


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("I'm an eye doctor", "I'm not a doctor"),
        ("I live in Paris", "I don't live in Lyon"),
        ("I work at Google", "I don't work at Google on Fridays"),
        ("I use Python", "I don't use Python for that"),
        ("I live in Paris", "I don't live in Paris?"),
        ("I live in Paris", "If I don't live in Paris, what then?"),
    ],
)
def test_what_denies_something_else_ends_nothing(said: str, more: str) -> None:
    assert learned(more, known=known_facts(said)) == ()


@pytest.mark.parametrize(
    ("said", "then", "keys"),
    [
        ("I work at Google", "I left Google and joined Apple", {"company"}),
        ("I work at Google as a cook", "I got laid off from Google", {"company", "role"}),
        ("My wife's name is Maria", "I got divorced last year", {"partner"}),
        ("My girlfriend's name is Ana", "We broke up", {"partner"}),
        ("My husband's name is Tom", "I'm widowed", {"partner"}),
    ],
)
def test_what_goes_with_a_job_or_a_partner_ends_with_it(said: str, then: str, keys: set[str]) -> None:
    gone = [each for each in learned(then, known=known_facts(said)) if each.action is Action.DELETE and each.number]
    assert keys <= {operation.key for operation in gone}


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        ("I live in Berlin", "Don't remember that I live in Berlin"),
        ("I work at Acme", "Never mind, forget what I said about my job"),
        ("My wife's name is Maria", "please stop remembering my wife's name"),
    ],
)
def test_a_wish_to_forget_is_heard_however_it_begins(said: str, wish: str) -> None:
    known = known_facts(said)
    gone = [each for each in learned(wish, known=known) if each.action is Action.DELETE]
    assert any(each.number == 1 or each.key == known[0].key for each in gone)


@pytest.mark.parametrize(
    "letter",
    [
        "Can you reply to this?\n\nHi Bob,\nMy name is Alice and I work at Initech.\nThanks,\nAlice",
        "What does she want?\n\nDear Mr Jones,\nI am allergic to nuts.\nBest, Eve",
        "Translate please\nLiebe Anna!\nI live in Oslo",
        "-----Original Message-----\nI live in Austin",
        "According to my mom, I like broccoli",
    ],
)
def test_what_others_wrote_or_said_is_not_the_users(letter: str) -> None:
    assert facts(letter) == []


@pytest.mark.parametrize(
    ("zone", "said", "fact"),
    [
        ("America/New_York", "I moved to Austin yesterday", "Moved to Austin on 7 May 2023"),
        ("Asia/Tokyo", "I moved to Austin yesterday", "Moved to Austin on 8 May 2023"),
        ("America/Los_Angeles", "I quit my job yesterday", "Quit their job on 7 May 2023"),
        ("Nowhere/At_All", "I moved to Austin yesterday", "Moved to Austin on 8 May 2023"),
    ],
)
def test_days_are_those_of_the_users_clock(zone: str, said: str, fact: str) -> None:
    # 23:30 on the 8th in New York, 12:30 on the 9th in Tokyo.
    at = int(datetime(2023, 5, 9, 3, 30, tzinfo=UTC).timestamp() * 1_000_000)
    known = memory(1, f"Is in the time zone {zone}", Layer.PROFILE, "timezone", f'"{zone}"')
    assert fact in facts(replace(user(said), time=at), known=(known,))


@pytest.mark.parametrize("greeting", ["Hi Bob,\n", "Hi!\n", "Well.\nHi there\n", "OK.\nHey, "])
def test_a_greeting_to_the_agent_is_no_letter(greeting: str) -> None:
    assert facts(f"{greeting}I live in Austin") == ['profile.location="Austin"']
