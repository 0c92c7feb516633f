"""What the rules engine may be trusted with: nothing invented, nothing deleted by the way, others' words left alone."""

from __future__ import annotations

import pytest
from reading_rules import assistant, facts, learned, user

from memsvc.extraction.engine import Action, Conversation, Finished
from memsvc.extraction.rules import RulesEngine
from memsvc.model import Layer, Memory


def profile(number: int, key: str, value_json: str, text: str = "") -> Memory:
    return Memory(
        memory_id=f"id{number}",
        number=number,
        layer=Layer.PROFILE,
        text=text or f"{key} {value_json}",
        key=key,
        value_json=value_json,
    )


EVERYTHING = (
    profile(1, "name", '"Ava"'),
    profile(2, "location", '"Berlin"'),
    profile(3, "email", '"ava@example.org"'),
    profile(4, "pets", '["a dog"]'),
    profile(5, "vehicle", '"a car"'),
    profile(6, "company", '"Acme"'),
    profile(7, "languages", '["French","German"]'),
)


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
        "delete the language column and my name field",
        "Remove my work from the portfolio page",
        "Could you erase my phone number from this screenshot?",
        "clear my city cache",
        "Wipe my location history file",
        "remove my name",
        "Delete everything in the folder",
        "Clear all",
        "delete all the data in this table",
    ],
)
def test_task_requests_delete_nothing(said: str) -> None:
    assert facts(said, known=EVERYTHING) == []


@pytest.mark.parametrize(
    ("said", "deleted"),
    [
        ("Forget my name", ["delete name", "delete preferred_name"]),
        ("delete my phone number", ["delete phone"]),
        ("Please forget my email address.", ["delete email"]),
        ("Remove my location from your memory", ["delete location"]),
        ("Forget what I said about my pets", ["delete pets"]),
        ("Can you forget about my car?", ["delete vehicle"]),
        ("forget that I work at Acme", ["delete company"]),
    ],
)
def test_what_is_asked_to_be_forgotten_is(said: str, deleted: list[str]) -> None:
    assert facts(said, known=EVERYTHING) == deleted


@pytest.mark.parametrize(
    "said",
    [
        "Forget everything you know about me",
        "Please forget everything",
        "Delete all my data",
        "Clear your memory",
        "wipe all memories about me please",
        "Can you erase everything about me?",
        "Delete everything you remember about me.",
        "forget all about me",
    ],
)
def test_forgetting_everything_is_proposed_as_such(said: str) -> None:
    assert [operation.action for operation in learned("I live in Rome", said, known=EVERYTHING)] == [Action.CLEAR]


@pytest.mark.parametrize("said", ["Forget about Rome", "Forget what I said about Rome", "forget everything about Rome"])
def test_forgetting_a_topic_finds_the_memories_by_their_words(said: str) -> None:
    known = Memory(memory_id="a", number=9, layer=Layer.KNOWLEDGE, text="Plans a trip to Rome")
    (operation,) = learned(said, known=(known, *EVERYTHING))
    assert (operation.action, operation.number) == (Action.DELETE, 9)


@pytest.mark.parametrize(
    "said", ["forget that", "Don't save that", "scratch that", "please don't remember that", "Just kidding!", "jk"]
)
def test_what_was_just_said_can_be_taken_back(said: str) -> None:
    assert facts("I live in Rome.", said) == []
    assert facts(f"I live in Rome. {said}") == []
    assert facts("I live in Rome.", "I live on Elm Street in Paris. I love sushi.", said) == ['profile.location="Rome"']


def test_what_was_said_before_this_conversation_can_be_taken_back() -> None:
    known = Memory(memory_id="a", number=9, layer=Layer.KNOWLEDGE, text="Likes sushi", input="I love sushi")
    (operation,) = learned("forget that", known=(known,), earlier=[user("I love sushi"), assistant("Noted!")])
    assert (operation.action, operation.number) == (Action.DELETE, 9)


@pytest.mark.parametrize(
    "said",
    [
        "Don't remember this: I live in Rome.",
        "Off the record, I live in Rome. I work at Acme.",
        "Do not save this. My name is Ava.",
        "Just between us, I'm married.",
        "Please don't store any of this: I am a nurse and I love sushi.",
    ],
)
def test_what_is_private_is_not_learned(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    "said",
    [
        "This is Rex!",
        "this is Bob",
        "This is Karen from accounting.",
        "call me by my first name",
        "Call me when you land.",
        "call me maybe",
        "I work with Kubernetes",
        "I work with JSON",
        "I work with babies",
        "I started with books",
        "Last week I joined in",
        "I joined Dana and Tom at the pool",
        "I'm contacting plumbers",
        "I'm calling electricians today",
        "I am going back to school",
        "I'm ready to graduate",
        "I'm back",
        "I bought a mouse and a keyboard",
        "I'm sure you feel great",
        "I'm free tomorrow",
        "In my novel the hero says: I live in Mordor",
        "In this story I am a doctor and I live in Paris.",
        "I might move to Oslo",
        "I could live in Rome",
        "If I were a nurse I'd live in Rome",
        "I almost moved to Rome",
        "I'm thinking of moving to Rome",
        "My boss says I'm a great cook",
        "I hope to be a lawyer",
        "I was at Google for the tour",
        "I'm on Python 3.12 and Postgres",
        "I'm in Paris",
        "I'm at the dentist",
        "I'm a fan of the teacher",
        "My friend Tom is a nurse",
        "The name is wrong",
    ],
)
def test_profile_facts_need_evidence(said: str) -> None:
    assert [fact for fact in facts(said) if fact.startswith("profile.")] == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("My name is Alex, sorry, I mean Alexa.", ['profile.name="Alexa"']),
        ("My name is Jon. Sorry, I mean John.", ['profile.name="John"']),
        ("I live in Bonn, I mean Berlin.", ['profile.location="Berlin"']),
        ("I graduated from NYU two years ago", ['profile.school="NYU"', "Graduated from NYU in 2021"]),
        ("I'm expecting a baby", ["Is expecting a baby"]),
        ("I'm moving to Berlin next year", ["Plans to move to Berlin in 2024"]),
        ("We're moving to Rome next month", ["Plans to move to Rome in June 2023"]),
        ("I'm getting married in June", ['profile.marital_status="engaged"', "Is getting married in June 2023"]),
    ],
)
def test_what_is_planned_or_corrected_is_no_more_than_that(said: str, expected: list[str]) -> None:
    assert facts(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "Never give up!",
        "Never say never",
        "Always be yourself",
        "Always look on the bright side",
        "Never stop learning",
        "I'd like a table for two",
        "That was from the concert",
        "That was fun",
        "Enjoy yourself!",
        "Keep it up!",
        "Remember, every step counts!",
        "Remember that you're amazing",
        "I got into a fight",
        "I enjoy every day",
        "I hate lies, to be honest",
        "I'm interested in buying a house",
        "I like where this is going",
        "I love how it turned out",
        "I prefer to read over watch TV",
        "I had a puppy last week",
        "I have a meeting on Friday",
        "Use a table",
        "Be careful",
        "I like it, but I love this one",
    ],
)
def test_talk_is_no_memory(said: str) -> None:
    assert facts(said) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I love pizza, to be honest", ["Likes pizza"]),
        ("I'm allergic to peanuts so please never suggest recipes with them", ['profile.allergies=["peanuts"]']),
        ("I'm lactose intolerant", ["Is lactose intolerant"]),
        ("I studied physics", ['profile.field_of_study="physics"']),
        ("I'm learning to draw", []),
        ("I'm learning Korean", ["Is learning Korean"]),
    ],
)
def test_what_is_learned_says_what_was_said(said: str, expected: list[str]) -> None:
    assert facts(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("I live in Rome", "I'm back in Paris now"), ['profile.location="Paris"']),
        (("I'm single", "I'm married now"), ['profile.marital_status="married"']),
        (("I prefer concise answers", "I prefer long answers"), ['policy.response_style="long"']),
        (("Never use emojis", "You can use emojis again"), []),
        (("Don't use emojis or jargon", "You can use emojis again"), ['policy.avoid=["jargon"]']),
        (("Never use bullet points", "You can use bullet points again"), []),
        (("I work at Google", "I quit my job"), ["Quit their job"]),
        (("I work at Google", "I left Google"), ["Left Google"]),
        (("I work at Acme", "I left Acme last month"), ["Left Acme in April 2023"]),
        (("I play the guitar", "I don't play the guitar anymore"), []),
        (("I live in Berlin", "I don't live in Berlin anymore"), []),
        (("I have a dog named Rex", "Rex died"), []),
        (
            ("I have a dog and a cat", "My dog died last week"),
            ['profile.pets=["a cat"]', "Their dog died in the week of 1 May 2023"],
        ),
        (("I live in Berlin", "Sorry, I meant Munich not Berlin"), ['profile.location="Munich"']),
        (("I work at Acme", "No, I meant Globex, not Acme"), ['profile.company="Globex"']),
        (("I'm vegetarian", "Actually I eat meat now"), []),
        (("I speak French and German", "I no longer speak French"), ['profile.languages=["German"]']),
        (("I code in Go", "I stopped using Go"), []),
        (("I have a brother", "I have two sisters"), ['profile.siblings=["a brother","two sisters"]']),
        (("I have a son", "I have two sons"), ['profile.children=["two sons"]']),
        (("I have a dog", "My dog is called Rex"), ['profile.pets=["a dog named Rex"]']),
        (("I have two cats", "I have three cats"), ['profile.pets=["three cats"]']),
        (("I have a son", "My son is called Leo"), ['profile.children=["a son named Leo"]']),
        (("I play the piano", "I gave up the piano"), []),
        (("I go to the gym every day", "I don't go to the gym anymore"), []),
        (("I drive a Honda", "I sold my Honda"), ["Sold their Honda"]),
        (("I live in Rome", "I moved out of Rome"), []),
        (("I live in Rome", "Oops, I meant Milan"), ['profile.location="Milan"']),
        (("I live in Rome", "Correction: Milan"), ['profile.location="Milan"']),
        (("From now on answer in German", "You can answer in English again"), ['policy.response_language="English"']),
        (("I have kids", "I have two daughters"), ['profile.children=["two daughters"]']),
        (("I have two dogs", "I took my dog out"), ['profile.pets=["two dogs"]']),
    ],
)
def test_change_replaces_ends_and_grows(said: tuple[str, ...], expected: list[str]) -> None:
    listed = [fact for fact in facts(*said) if not fact.startswith("delete")]
    assert listed == expected


@pytest.mark.parametrize(
    ("said", "known", "expected"),
    [
        ("Actually I eat meat now", profile(1, "diet", '"vegetarian"'), ["delete diet"]),
        ("I don't live in Berlin anymore", profile(2, "location", '"Berlin"'), ["delete location"]),
        ("I don't live in Rome anymore", profile(2, "location", '"Berlin"'), []),
        ("I quit my job", profile(6, "company", '"Acme"'), ["delete company", "delete role", "delete workplace"]),
        ("Rex died", profile(4, "pets", '["a dog named Rex"]'), ["delete pets"]),
        ("Tom died", profile(4, "pets", '["a dog named Rex"]'), []),
        ("I no longer speak French", profile(7, "languages", '["French","German"]'), ['profile.languages=["German"]']),
        ("I stopped using Go", profile(8, "stack.languages", '["Go"]'), ["delete stack.languages"]),
        ("I'm not vegan anymore", profile(1, "diet", '"vegan"'), ["delete diet"]),
        ("Sorry, I meant Munich not Berlin", profile(2, "location", '"Berlin"'), ['profile.location="Munich"']),
        ("You can use emojis again", EVERYTHING[0], []),
    ],
)
def test_what_was_known_ends(said: str, known: Memory, expected: list[str]) -> None:
    assert [fact for fact in facts(said, known=(known,)) if "=" in fact or fact.startswith("delete")] == expected


def test_an_update_of_a_list_names_all_of_it() -> None:
    known = profile(4, "pets", '["a dog named Rex","two cats"]')
    (update,) = learned("Rex died", known=(known,))
    assert (update.action, update.value_json, update.text) == (Action.UPDATE, '["two cats"]', "Has two cats")


@pytest.mark.parametrize(
    "said",
    [
        "On Mon, 8 May 2023, Bob wrote:\nI live in Rome.\nI have two dogs.",
        "My sister said: I am a nurse. I live in Rome.",
        "A customer wrote us: I live in Lyon and I love sushi. My name is Claire.",
        "Bob: I'm a teacher\nAnn: I live in Rome",
        "From: bob@example.org\nSubject: hello\n\nI live in Rome.",
        "Here is the mail I got.\n-----Original Message-----\nI am a lawyer. I live in Rome.",
        "> I live in Rome\n> I'm a nurse",
        "// I live in Rome\n# my name is Bob",
        "2023-05-08 12:00:01 INFO my name is Bob",
        "diff --git a/x b/x\n+I live in Rome\n-My name is Bob",
        "```\nmy name is Bob\n```",
        "The song goes: I'm a creep. I live in Rome.",
        "Lyrics: I love sushi. I live in Paris.",
        "Let's do a roleplay. I am a knight. I live in Camelot. I'm a nurse.",
        "Act as a pirate. I live in Rome.",
        "Write a short story. I live in Rome and I am a nurse.",
        "Proofread this:\nI live in Paris. I have two dogs.",
        "Translate into German: My name is Claire.",
        "Imagine you are my boss. I work at Acme.",
        "Dear Sir, I live in Rome. I am a nurse.",
        "She said, I live in Rome.",
        "My boss told me I'm a great engineer",
        "Here's my cover letter. I am a nurse. I live in Rome.",
    ],
)
def test_the_words_of_others_hold_for_the_rest_of_the_message(said: str) -> None:
    assert facts(said) == []


def test_role_play_goes_on_until_it_is_over() -> None:
    play = "Let's do a roleplay."
    assert facts(play, "I am a nurse. I live in Camelot.", "My name is Arthur.") == []
    assert facts("I live in Rome.", earlier=[user(play)]) == []
    assert facts(play, "I am a nurse.", "End of roleplay.", "I live in Rome.") == ['profile.location="Rome"']


def test_a_message_before_the_pasted_part_is_read() -> None:
    assert facts("I live in Rome. My sister wrote: I am a nurse.") == ['profile.location="Rome"']


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I took my dog out", ['profile.pets=["a dog"]']),
        ("My cat Mittens knocked it over", ['profile.pets=["a cat named Mittens"]']),
        ("my two boys were loud", ['profile.children=["two boys"]']),
        ("Had dinner with my wife yesterday", ['profile.marital_status="married"']),
        ("My brother came by", ['profile.siblings=["a brother"]']),
        ("at my bakery we start at four", ["Has a bakery"]),
        ("I work at Home Depot.", ['profile.company="Home Depot"']),
        ("I work at Best Buy now", ['profile.company="Best Buy"']),
        ("I take metformin twice a day.", ["Takes metformin twice a day"]),
        ("I just got a promotion to senior manager.", ['profile.role="senior manager"']),
        ("My boss is called Karen.", ["Their boss is called Karen"]),
        ("I go to the gym three times a week.", ["Goes to the gym three times a week"]),
        ("I'd like to visit Japan next year.", ["Would like to visit Japan in 2024"]),
        ("Be brief", ['policy.response_style="brief"']),
        ("Keep answers under 100 words", ['policy.response_style="within 100 words"']),
        ("Could you answer in bullet points from now on?", ['policy.format="bullet points"']),
    ],
)
def test_reach(said: str, expected: list[str]) -> None:
    assert facts(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "My sister-in-law came by",
        "I learned it from my sister and brother in law",
        "I miss my dog",
        "My late husband loved it",
        "my dog died years ago",
        "I want my wife to be happy, someday",
        "My ex wife called",
        "If my son were here",
        "My dog picture is blurry",
        "he is like my brother",
    ],
)
def test_in_passing_means_the_users_own_and_now(said: str) -> None:
    assert [fact for fact in facts(said) if fact.startswith("profile.")] == []


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What's your favorite colour?", "Mine is teal", ['knowledge.favorites.color="teal"']),
        ("Nice! And what is your favorite food?", "Sushi!", ['knowledge.favorites.food="Sushi"']),
        ("Where do you live?", "in Rome", []),
        ("Where do you live?", "Rome", ['profile.location="Rome"']),
        ("What is your name?", "Ava", ['profile.name="Ava"']),
        ("How old are you?", "27", ["profile.age=27"]),
        ("Do you have any pets?", "Yes, two cats", ['profile.pets=["two cats"]']),
        ("What do you do for a living?", "a nurse", ['profile.role="nurse"']),
        ("Where do you live?", "Not telling", []),
        ("Where does Tom live?", "Rome", []),
        ("What's your favorite color, and what's your name?", "Teal", []),
        ("What's your name?", "Why do you ask?", []),
    ],
)
def test_answers_say_as_much_as_statements(question: str, answer: str, expected: list[str]) -> None:
    assert facts(assistant(question), answer) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I joined a support group yesterday.", "Joined a support group on 7 May 2023"),
        ("I ran a marathon last Saturday!", "Ran a marathon on 6 May 2023"),
        ("We sold our boat two weeks ago", "Sold their boat around 24 April 2023"),
        ("Last month I visited my grandma's village", "Visited their grandma's village in April 2023"),
        ("I'm flying to Rome on Friday", "Is flying to Rome on 12 May 2023"),
        ("We went camping last weekend", "Went camping on the weekend of 6 May 2023"),
    ],
)
def test_relative_dates_become_absolute(said: str, expected: str) -> None:
    assert expected in facts(said)


def test_another_authors_words_are_not_the_users() -> None:
    assert facts(user("I live in Lyon", author_id="bob"), user("My name is Bob.", author_id="bob")) == []


@pytest.mark.parametrize("shared", [True, False])
def test_another_authors_words_count_for_a_team(shared: bool) -> None:
    import asyncio

    async def collect() -> int:
        conversation = Conversation([user("I live in Lyon", author_id="bob")], user_id="team:support", shared=shared)
        async for event in RulesEngine().extract(conversation):
            if isinstance(event, Finished):
                return len(event.operations)
        raise AssertionError

    assert asyncio.run(collect()) == int(shared)


@pytest.mark.parametrize(
    "said",
    [
        "Remember that my password is hunter2",
        "Remember my API key is sk-1234567890abcdef",
        "note that my PIN is 4321",
        "Remember that my card number is 4111 1111 1111 1111",
        "Remember my secret token: abcDEF123456",
    ],
)
def test_secrets_are_not_remembered(said: str) -> None:
    assert facts(said) == []
