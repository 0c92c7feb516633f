"""People who exist nowhere, with memories and conversations: what screenshots show."""

from __future__ import annotations

import random
from typing import Any

from tests.page.site import Site

MAIN = "sarah.lindqvist"
SESSION = "trip-to-porto"
OTHERS = ("amir.haddad", "bea.okafor", "chen.wei", "dana.kowalski", "elif.demir", "team:support", "noor.van.dijk")

PROFILE = (
    ("name", '"Sarah Lindqvist"', "The user is called Sarah Lindqvist.", "identity"),
    ("home.city", '"Porto"', "The user lives in Porto since May 2025.", "home"),
    (
        "home.languages",
        '["Swedish", "English", "Portuguese"]',
        "The user speaks Swedish, English and Portuguese.",
        "home",
    ),
    ("work.role", '"Staff engineer"', "The user is a staff engineer at a shipping company.", "work"),
    (
        "work.stack",
        '["Python", "Postgres", "Kubernetes"]',
        "The user works with Python, Postgres and Kubernetes.",
        "work",
    ),
    ("diet", '"vegetarian"', "The user is a vegetarian.", "food"),
)
POLICY = (
    ("style.length", '"short"', "Keep answers short; details only when asked.", "style"),
    ("style.units", '"metric"', "Use metric units and 24-hour times.", "style"),
    ("", "", "Never book anything without asking first.", "travel"),
)
KNOWLEDGE = (
    ("The user travels to Lisbon every second Tuesday for the platform meeting.", "work"),
    ("The user's sister Maja visits in the first week of December.", "family"),
    ("The user is training for a half marathon in Aveiro.", "sport"),
    ("The user's team moves its queue from RabbitMQ to Postgres this quarter.", "work"),
    ("The user is allergic to hazelnuts.", "food"),
    ("The user keeps two cats, Tofu and Miso.", "home"),
    ("The user prefers trains over planes below six hours.", "travel"),
    ("The user reads Pessoa in the original, slowly.", "culture"),
)
FEEDBACK = (
    ("The comparison table of train fares helped.", "POLARITY_POSITIVE"),
    ("Long lists of restaurants without prices did not help.", "POLARITY_NEGATIVE"),
)


async def fill(site: Site, many: int = 0) -> None:
    """Write the people; `many` more memories of one who has a lot."""
    await site.remember(MAIN, *_of_main())
    call = {"id": "c1", "name": "find_restaurants", "argumentsJson": '{"city": "Porto", "diet": "vegetarian"}'}
    answer = {"callId": "c1", "parts": [{"text": {"text": "Casa da Horta, 14 €; O Diospiro, 19 €"}}]}
    looking = {"text": {"text": "How nice! Let me look for somewhere to eat."}}
    await site.said(
        MAIN,
        SESSION,
        {"role": "USER", "text": "My sister is Maja and she is coming to Porto on Friday. I love grilled aubergine."},
        {"role": "ASSISTANT", "parts": [looking, {"toolCall": call}]},
        {"role": "TOOL", "parts": [{"toolResult": answer}]},
        {"role": "ASSISTANT", "text": "Casa da Horta is vegetarian and affordable. Shall I reserve for Friday?"},
        run={"agentId": "travel"},
        waitForLearning="20s",
    )
    await site.said(
        MAIN,
        SESSION,
        {"role": "USER", "text": "Please do. I prefer to sit outside. My favourite wine is Vinho Verde."},
        {"role": "ASSISTANT", "text": "Done: Friday at 20:00, a table outside."},
        run={"agentId": "travel"},
        waitForLearning="20s",
    )
    await site.said(
        MAIN,
        "standup",
        {"role": "USER", "text": "I work at Northwind Shipping. I live in Porto."},
        waitForLearning="20s",
    )
    for number, user_id in enumerate(OTHERS):
        await site.remember(user_id, *({"text": f"Likes the number {number + each}."} for each in range(3 + number)))
    if many:
        await site.remember("many.memories", *lots(many))


def _of_main() -> list[dict[str, Any]]:
    profile = (
        {"layer": "LAYER_PROFILE", "key": key, "valueJson": value, "text": text, "topics": [topic]}
        for key, value, text, topic in PROFILE
    )
    policy = (
        {"layer": "LAYER_POLICY", "key": key, "valueJson": value, "text": text, "topics": [topic]}
        for key, value, text, topic in POLICY
    )
    knowledge = ({"layer": "LAYER_KNOWLEDGE", "text": text, "topics": [topic]} for text, topic in KNOWLEDGE)
    feedback = ({"layer": "LAYER_FEEDBACK", "text": text, "polarity": polarity} for text, polarity in FEEDBACK)
    return [*profile, *policy, *knowledge, *feedback]


def lots(count: int) -> list[dict[str, Any]]:
    """Return many memories, each with a number of its own."""
    drawn = random.Random(7)
    things = ("tea", "maps", "old trains", "chess", "clay", "fog", "harbours", "rye bread", "letters", "night buses")
    layers = ("LAYER_KNOWLEDGE", "LAYER_KNOWLEDGE", "LAYER_PROFILE", "LAYER_POLICY")
    return [
        {
            "text": f"Fact {each}: the user likes {drawn.choice(things)} more than {drawn.choice(things)}.",
            "layer": drawn.choice(layers),
            "topics": [f"t{each % 12}"],
        }
        for each in range(count)
    ]
