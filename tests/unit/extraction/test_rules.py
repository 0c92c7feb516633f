"""What the rules engine learns from statements."""

from __future__ import annotations

import pytest
from reading_rules import facts, learned

from memsvc.model import Layer, Polarity, Trust


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("My name is Ava and I like to ski", ['profile.name="Ava"', "Likes to ski"]),
        ("I live in san francisco, where should i move within a 4 hour drive?", ['profile.location="San Francisco"']),
        ("I'm Sarah, a data scientist", ['profile.name="Sarah"', 'profile.role="data scientist"']),
        ("I love sushi!", ["Likes sushi"]),
        ("Remember that I prefer Python over JavaScript", ["Prefers Python over JavaScript"]),
        ("Update my role - I'm now a Staff Engineer", ['profile.role="Staff Engineer"']),
        ("hi im jamie, 27, from leeds", ['profile.name="Jamie"', "profile.age=27", 'profile.hometown="Leeds"']),
        ("im 25 and live in texas", ["profile.age=25", 'profile.location="Texas"']),
        ("I am fifty six years old", ["profile.age=56"]),
        ("I moved to Austin last year", ['profile.location="Austin"', "Moved to Austin in 2022"]),
        ("I live in Boston, MA with my wife", ['profile.location="Boston, MA"', 'profile.marital_status="married"']),
        ("i live in the us", ['profile.location="the US"']),
        ("I used to live in Chicago", ["Used to live in Chicago"]),
        (
            "I was born in Manila and raised in San Diego",
            ['profile.birthplace="Manila"', 'profile.hometown="San Diego"'],
        ),
        ("I work as a nurse at a hospital", ['profile.role="nurse"', 'profile.workplace="a hospital"']),
        (
            "I'm a senior backend engineer at Spotify",
            ['profile.role="senior backend engineer"', 'profile.company="Spotify"'],
        ),
        ("I am a retired gym teacher", ['profile.employment_status="retired"']),
        ("I'm studying biology at MIT", ['profile.school="MIT"', 'profile.field_of_study="biology"']),
        ("my wife and I have 3 kids", ['profile.children=["3 kids"]', 'profile.marital_status="married"']),
        ("I have an older brother and two sisters", ['profile.siblings=["an older brother","two sisters"]']),
        ("I've been married for ten years", ['profile.marital_status="married"']),
        ("My wife's name is Anna", ['profile.partner="Anna"']),
        ("My mom is a dentist", ["Their mom is a dentist"]),
        ("I have two dogs and a hamster", ['profile.pets=["two dogs","a hamster"]']),
        ("my dog Max loves walks", ['profile.pets=["a dog named Max"]']),
        ("I speak french and a little german", ['profile.languages=["French","German"]']),
        ("I am a vegetarian", ['profile.diet="vegetarian"']),
        ("im alergic to cats", ['profile.allergies=["cats"]']),
        ("I drive a Honda", ['profile.vehicle="a Honda"']),
        ("I play guitar", ['profile.instruments=["guitar"]']),
        ("my hobbies are knitting, chess and birdwatching", ['profile.hobbies=["knitting","chess","birdwatching"]']),
        ("I mostly code in Rust and Go these days", ['profile.stack.languages=["Rust","Go"]']),
        ("my favorite color is blue", ['knowledge.favorites.color="blue"']),
        ('My favorite book is "To Kill a Mockingbird"', ['knowledge.favorites.book="To Kill a Mockingbird"']),
        ("Cheeseburgers are my favorite food", ['knowledge.favorites.food="Cheeseburgers"']),
        ("my favorite holiday is Halloween", ["Favorite holiday is Halloween"]),
        ("I hate broccoli", ["Dislikes broccoli"]),
        ("I'm not a fan of country music", ["Dislikes country music"]),
        ("I love dogs but I hate cats", ["Likes dogs", "Dislikes cats"]),
        (
            "I like to ride horses, play video games, and watch movies",
            ["Likes to ride horses", "Likes to play video games", "Likes to watch movies"],
        ),
        ("I like mac and cheese", ["Likes mac and cheese"]),
        ("I go hiking every weekend", ["Goes hiking every weekend"]),
        ("I don't drink", ["Does not drink"]),
        ("call me Bob", ['profile.preferred_name="Bob"']),
        ("write me at hello@nora.dev", ['profile.email="hello@nora.dev"']),
        ("My phone number is +1 415 555 0134", ['profile.phone="+1 415 555 0134"']),
        ("Remember that the demo is on Friday", ["The demo is on Friday"]),
        ("Keep in mind I have to renew my passport in May", ["Has to renew their passport in May"]),
    ],
)
def test_statements_are_learned(said: str, expected: list[str]) -> None:
    assert facts(said) == expected


@pytest.mark.parametrize(
    ("said", "key", "value_json"),
    [
        ("Please always answer concisely", "response_style", '"concise"'),
        ("Please keep your answers short.", "response_style", '"short"'),
        ("I prefer email over phone calls", "contact_channel", '"email"'),
        ("From now on, answer in German", "response_language", '"German"'),
        ("never use emojis please", "avoid", '["emojis"]'),
        ("I prefer bullet points over paragraphs", "format", '"bullet points"'),
        ("Use a casual tone with me", "tone", '"casual"'),
        ("Always give me code examples in TypeScript", "code_language", '"TypeScript"'),
        ("Please use metric units", "units", '"metric"'),
        ("Always cite your sources", "", ""),
    ],
)
def test_wishes_are_policies(said: str, key: str, value_json: str) -> None:
    (operation,) = learned(said)
    assert (operation.layer, operation.key, operation.value_json) == (Layer.POLICY, key, value_json)


@pytest.mark.parametrize(
    ("said", "text", "polarity"),
    [
        ("That explanation was too long", "Explanation was too long", Polarity.NEGATIVE),
        ("That example really helped", "Example really helped", Polarity.POSITIVE),
        ("your explanation was very clear", "Explanation was very clear", Polarity.POSITIVE),
    ],
)
def test_judgements_of_answers_are_feedback(said: str, text: str, polarity: Polarity) -> None:
    (operation,) = learned(said)
    assert (operation.layer, operation.text, operation.polarity) == (Layer.FEEDBACK, text, polarity)


def test_operations_say_where_they_come_from() -> None:
    name, likes = learned("hello", "Well, my name is Ava and I really like Thai food, you know")
    assert (name.message_index, name.quote, name.topics) == (1, "my name is Ava", ("name",))
    assert (likes.quote, likes.topics) == ("I really like Thai food", ("preferences", "food"))
    assert likes.trust is Trust.STATED


def test_what_only_follows_is_inferred() -> None:
    (dog,) = learned("I took my dog out")
    (married,) = learned("I told my wife about it")
    assert (dog.value_json, dog.trust) == ('["a dog"]', Trust.STATED)
    assert (married.value_json, married.trust) == ('"married"', Trust.INFERRED)
