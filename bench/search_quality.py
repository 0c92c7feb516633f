"""How often a natural question finds the memory that answers it, and what stemming and neighbours add.

Three corpora in the manner of LoCoMo (long conversations with dated facts). Here: sessions of one made-up person's
memories, and questions with the memory that answers each; some answers share no word with their question but stand
beside the fact that does. In `conversations`: turns of several people, asked for by words and by meaning. In `friends`:
two people each who chat, asked about by name, and searched as history. Small enough to read, too small for a second
digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from bench import conversations
from bench.conversations import Question, read_conversations
from bench.measuring import at_least
from memsvc.model import Memory, Origin
from memsvc.search.bm25 import Shares
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.hybrid import Asked, candidates, fuse
from memsvc.search.lexical import LexicalIndex
from memsvc.search.memory_terms import meant_text
from memsvc.search.text import Analyzer
from memsvc.search.vectors import VectorIndex

Found = Sequence[tuple[Question, Sequence[str]]]
"""Questions, and the ids of what each found, best first."""
_DAY_MICROSECONDS = 86_400_000_000
_FIRST_DAY = 20_454

SESSIONS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, (
        "Maya is a pediatric nurse at Lakeside Hospital",
        "Works night shifts three times a week",
        "Finds them exhausting but likes the quiet",
        "Is thinking of moving to a day position next year",
    )),
    (6, (
        "Adopted a rescue greyhound in January",
        "Named him Comet because he runs so fast",
        "He is afraid of thunderstorms",
        "Takes him to the park by the river every morning",
    )),
    (15, (
        "Her sister Leila got engaged to a chef called Tomás",
        "The wedding will be in Lisbon in September",
        "Was asked to be maid of honour",
        "Is nervous about giving a speech",
    )),
    (30, (
        "Started taking pottery classes on Thursdays",
        "Made a blue vase as a present for her mother",
        "The glaze cracked in the kiln",
        "Wants to try it again with a thicker clay",
    )),
    (41, (
        "Is allergic to shellfish",
        "Ended up in the emergency room after eating shrimp in Vietnam",
        "Always carries an EpiPen since then",
        "Loves spicy Thai curries and mango sticky rice",
    )),
    (60, (
        "Is training for the Chicago half marathon",
        "Runs forty kilometres a week",
        "Hurt her left knee on a steep trail",
        "The physiotherapist prescribed stretching and two weeks of rest",
    )),
    (75, (
        "Bought a 1968 caravan with her friend Jonas",
        "They are repainting it mint green",
        "Plan to drive it along the coast of Norway",
        "Still have to replace the brakes",
    )),
    (90, (
        "Grew up in a small village near Tabriz",
        "Moved to Canada with her parents when she was nine",
        "Speaks Farsi at home and learned French at school",
        "Her grandmother still sends saffron and dried limes",
    )),
    (104, (
        "Is reading One Hundred Years of Solitude for her book club",
        "Thinks the family tree is confusing",
        "The club meets on the first Monday of the month",
        "Preferred the detective novels by Tana French",
    )),
    (120, (
        "Volunteers at an animal shelter twice a month",
        "Mostly cleans cages and walks the older dogs",
        "Organised a fundraiser that brought in 4,000 dollars",
        "The money paid for a new heating system",
    )),
    (133, (
        "Her laptop was stolen on the train to Montreal",
        "Lost all photos from her trip to Iceland",
        "Bought a Framework laptop and runs Linux on it now",
        "Backs up everything to a disk at her brother's house",
    )),
    (150, (
        "Quit playing the violin as a teenager",
        "Her teacher had been too strict",
        "Took it up again last spring and joined an amateur orchestra",
        "They will perform Dvořák's New World Symphony in December",
    )),
    (166, (
        "Drinks oat milk cappuccino, never plain coffee",
        "Is trying to cut down on sugar",
        "Bakes sourdough on Sundays",
        "Her starter is called Clint Yeastwood",
    )),
    (180, (
        "Rents a two-bedroom apartment in Toronto with Priya",
        "The landlord wants to raise the rent by twelve percent",
        "They have asked a tenants' association for advice",
        "Would rather buy a small house with a garden",
    )),
    (200, (
        "Prefers short answers without bullet points",
        "Wants prices in Canadian dollars",
        "Dislikes being called on the phone, send an email instead",
        "Asked for a reminder of her dentist appointment",
    )),
)  # fmt: skip

QUESTIONS: tuple[tuple[str, str], ...] = (
    ("What does Maya do for a living?", "Maya is a pediatric nurse"),
    ("Which hospital is she working at?", "Maya is a pediatric nurse"),
    ("How often does she work at night?", "Works night shifts"),
    ("How does she feel about her night shift?", "Finds them exhausting"),
    ("What breed of dog did she adopt?", "Adopted a rescue greyhound"),
    ("What is her greyhound called?", "Named him Comet"),
    ("What is Comet scared of?", "He is afraid of thunderstorms"),
    ("Where do they go walking with the greyhound in the mornings?", "Takes him to the park"),
    ("Who is Leila going to marry?", "Her sister Leila got engaged"),
    ("Where is the wedding taking place?", "The wedding will be in Lisbon"),
    ("What role does she have at her sister's wedding?", "Was asked to be maid of honour"),
    ("When does she have her pottery class?", "Started taking pottery classes"),
    ("What did she make in pottery for her mom?", "Made a blue vase"),
    ("What went wrong with the vase?", "The glaze cracked"),
    ("Does she have any food allergies?", "Is allergic to shellfish"),
    ("What happened when she ate shrimps?", "Ended up in the emergency room"),
    ("What medication does she carry with her?", "Always carries an EpiPen"),
    ("Which curry does she love?", "Loves spicy Thai curries"),
    ("Which race does she train for?", "Is training for the Chicago"),
    ("How many kilometers does she run each week?", "Runs forty kilometres"),
    ("How did she get injured in training?", "Hurt her left knee"),
    ("What was prescribed for the knee?", "The physiotherapist prescribed"),
    ("Who owns the caravan with her?", "Bought a 1968 caravan"),
    ("What colour are they painting the caravan?", "They are repainting it mint green"),
    ("Where will they take the caravan?", "Plan to drive it along the coast"),
    ("What repairs does the caravan need?", "Still have to replace the brakes"),
    ("In which village did she grow up?", "Grew up in a small village"),
    ("How old was she when her family moved to Canada?", "Moved to Canada with her parents"),
    ("Which languages does she speak?", "Speaks Farsi at home"),
    ("What does her grandma send her?", "Her grandmother still sends"),
    ("Which book is the club reading?", "Is reading One Hundred Years"),
    ("When do they meet for the book club?", "The club meets on the first Monday"),
    ("Who is her preferred author of detective fiction?", "Preferred the detective novels"),
    ("Where does she do volunteer work?", "Volunteers at an animal shelter"),
    ("How much did the fundraising bring in?", "Organised a fundraiser"),
    ("What were the funds from the fundraiser used for?", "The money paid for"),
    ("How did she lose her laptop?", "Her laptop was stolen"),
    ("Which photographs did she lose?", "Lost all photos"),
    ("Where does she keep her backups?", "Backs up everything"),
    ("What operating system does her laptop run?", "Bought a Framework laptop"),
    ("Why did she stop playing violin?", "Her teacher had been too strict"),
    ("What will the orchestra be performing?", "They will perform Dvořák"),
    ("Does she take milk in her coffee?", "Drinks oat milk"),
    ("What does she bake on a Sunday?", "Bakes sourdough"),
    ("What's the name of the sourdough starter?", "Her starter is called"),
    ("Who does she share the apartment with?", "Rents a two-bedroom apartment"),
    ("By how much is the landlord raising rents?", "The landlord wants to raise"),
    ("Who did they turn to because of the landlord?", "They have asked a tenants"),
    ("Should I phone her or write an email?", "Dislikes being called"),
    ("What happened on 14 May 2026?", "Her laptop was stolen"),
)


def memories() -> list[Memory]:
    """Return the corpus: each memory with its session and day."""
    made: list[Memory] = []
    for number, (day, facts) in enumerate(SESSIONS):
        for fact in facts:
            made.append(
                Memory(
                    memory_id=f"m{len(made)}",
                    number=len(made) + 1,
                    text=fact,
                    origin=Origin(session_id=f"s{number}"),
                    observe_time=(_FIRST_DAY + day) * _DAY_MICROSECONDS + len(made) * 60_000_000,
                )
            )
    return made


def recall(index: LexicalIndex, known: Iterable[Memory], depth: int) -> float:
    """Return the share of the questions whose answer is among the first `depth` results."""
    by_id = {memory.memory_id: memory.text for memory in known}
    found = sum(
        any(by_id[hit.memory_id].startswith(answer) for hit in index.search(question, depth))
        for question, answer in QUESTIONS
    )
    return found / len(QUESTIONS)


def measure() -> list[dict[str, object]]:
    """Return a row per figure: name, value, unit."""
    return [*_measure_facts(), *_measure_conversations(), *_measure_friends()]


def _measure_facts() -> list[dict[str, object]]:
    known = memories()
    rows: list[dict[str, object]] = []
    for name, index in {
        "full": LexicalIndex(),
        "without_stemming": LexicalIndex(analyzer=Analyzer(stem=lambda _, word: word)),
        "without_neighbours": LexicalIndex(shares=Shares(0, 0, 0, 0)),
        "without_both": LexicalIndex(analyzer=Analyzer(stem=lambda _, word: word), shares=Shares(0, 0, 0, 0)),
    }.items():
        for memory in known:
            index.add(memory)
        for depth in (1, 5, 10):
            value = round(recall(index, known, depth), 3)
            rows.append({"name": f"search_quality.{name}.recall_at_{depth}", "value": value, "unit": "share"})
    return rows


def _measure_conversations() -> list[dict[str, object]]:
    """Ask for single turns among those of all conversations, by words, by meaning, and by both."""
    _, questions = read_conversations()
    known = conversations.memories()
    index = LexicalIndex.build(known)
    embedder = StaticEmbedder()
    vectors = VectorIndex[str]()
    vectors.put_all([(memory.memory_id, embedder.vector(meant_text(memory))) for memory in known])

    def find(question: Question, *, by_words: bool, by_meaning: bool) -> list[str]:
        vector = embedder.vector(question.text) if by_meaning else b""
        asked = Asked(question.text, vector, by_words)
        return [each.item for each in fuse([candidates(index, vectors, asked, _DEPTHS[-1])])]

    rows: list[dict[str, object]] = []
    for method, halves in {
        "lexical": {"by_words": True, "by_meaning": False},
        "semantic": {"by_words": False, "by_meaning": True},
        "hybrid": {"by_words": True, "by_meaning": True},
    }.items():
        found = [(question, find(question, **halves)) for question in questions]
        rows += shares_found(_PREFIX, method, found)
    rows += shares_found(_PREFIX, "history", in_history(questions, "conversations"))
    values = {str(row["name"]): float(str(row["value"])) for row in rows}
    for kind in ("", ".paraphrase"):
        lexical, hybrid = (values[f"{_PREFIX}.{method}{kind}.recall_at_10"] for method in ("lexical", "hybrid"))
        rows.append({"name": f"{_PREFIX}.gain_of_meaning{kind}", "value": round(hybrid - lexical, 3), "unit": "share"})
    return rows


def _measure_friends() -> list[dict[str, object]]:
    _, questions = read_conversations("friends")
    return shares_found("search_quality.friends", "history", in_history(questions, "conversations", "friends"))


def in_history(questions: Sequence[Question], *folders: str) -> Found:
    """Ask for turns as SearchHistory does, by words and by meaning."""
    embedder, said = StaticEmbedder(), conversations.history(*folders)
    vectors = [embedder.vector(said.without_names(question.text)) for question in questions]
    return [
        (question, [hit.spot.run_id for hit in said.search(question.text, _DEPTHS[-1], vector=vector)])
        for question, vector in zip(questions, vectors, strict=True)
    ]


def shares_found(prefix: str, method: str, found: Found) -> list[dict[str, object]]:
    """Return the share of what the questions need, of all and of each kind, that is among the first results."""
    rows: list[dict[str, object]] = []
    for kind in ("", *sorted({question.kind for question, _ in found})):
        asked = [(question, ids) for question, ids in found if kind in ("", question.kind)]
        for depth in _DEPTHS:
            shares = [
                sum(turn_id in ids[:depth] for turn_id in question.turn_ids) / len(question.turn_ids)
                for question, ids in asked
            ]
            name = f"{prefix}.{method}{f'.{kind}' if kind else ''}.recall_at_{depth}"
            rows.append({"name": name, "value": round(mean(shares), 3), "unit": "share"})
    return rows


_DEPTHS = (5, 10)
_PREFIX = "search_quality.conversations"
GOALS = {
    f"{_PREFIX}.history.recall_at_10": at_least(0.75),
    "search_quality.friends.history.recall_at_10": at_least(0.78),
    f"{_PREFIX}.gain_of_meaning": at_least(0.03),
    f"{_PREFIX}.gain_of_meaning.paraphrase": at_least(0.10),
    "search_quality.full.recall_at_5": at_least(0.88),
    "search_quality.full.recall_at_10": at_least(0.88),
}
"""By name of the figure; the last two are what the index found before."""


if __name__ == "__main__":
    for measured in measure():
        print(f"{measured['name']:48} {measured['value']:>6} {measured['unit']}")
