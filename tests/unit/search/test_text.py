from __future__ import annotations

import random
import sys
from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.languages import Language, dominant_language, fold, stop_languages
from memsvc.search.postings import CODE_BYTES, Gathered, Postings, tallied, term_codes
from memsvc.search.text import Analyzer

analyzer = Analyzer()


def shared_terms(document: str, query: str) -> set[str]:
    return set(analyzer.document_terms(document)) & set(analyzer.query_terms(query))


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ("Skis at Lake Tahoe", "Does she like skiing?"),
        ("Has two hobbies", "hobby"),
        ("Drinks a café au lait", "cafe"),
        ("Drinks at the cafe", "CAFÉ"),
        ("Drinks at the café", "cafe\u0301"),
        ("ＦＵＬＬＷＩＤＴＨ letters", "fullwidth"),
        ("Lives in Zürich", "zurich"),
        ("Grew up in Łódź", "lodz"),
        ("Wohnt in der Hauptstraße", "HAUPTSTRASSE"),
        ("The user's brother", "brothers of the user"),
        ("Doesn’t eat meat", "meat?"),
        ("Works in IT", "it"),
        ("Moved to the US in May", "us"),
        ("Writes C++ and C#", "c++"),
        ("Writes C++ and C#", "C#"),
        ("Deploys node.js v2.1", "nodejs"),
        ("Deploys node.js v2.1", "Node.js"),
        ("Deploys node.js v2.1", "v2.1"),
        ("Has bad wi-fi", "wifi"),
        ("Mail: sarah.lee+x@example.com", "sarah.lee@example.com"),
        ("Uses snake_case names", "snake_case"),
        ("Loves 🍕 and ⚽", "🍕"),
        ("Gave a 👍🏽", "👍"),
        ("Born in 🇨🇭", "🇨🇭"),
    ],
)
def test_a_query_meets_the_text_it_is_about(document: str, query: str) -> None:
    assert shared_terms(document, query)


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ("Le gustan las canciones de su país", "canción"),
        ("Elle aime les chevaux et la natation", "cheval"),
        ("Sie mag ihre Häuser und die Bücher von Böll", "Haus"),
        ("Preferisce le città piccole e la musica", "città"),
        ("Eu gosto de correr com os meus amigos", "amigo"),
        ("У него есть собака, и он любит кофе", "собаки"),
        ("Русский язык", "русского"),
        ("Η γυναίκα του είναι από την Αθήνα", "αθηνα"),
        ("يحب القهوة في الصباح", "قهوة"),
        ("قَهْوَة", "قهوة"),
        ("उसे बिल्लियाँ पसंद हैं", "बिल्ली"),
        ("Onun iki kedisi var", "kedisi"),
    ],
)
def test_words_are_stemmed_by_their_language(document: str, query: str) -> None:
    assert shared_terms(document, query)


@pytest.mark.parametrize(
    ("document", "query"),
    [
        # Arabic and Persian kaf and yeh, alef forms, ta marbuta, digits.
        ("کتاب را دوست دارد", "كتاب"),
        ("يحب الكرة", "الکرة"),
        ("در شیراز زندگی می‌کند", "شيراز"),
        ("يسكن قرب المستشفى", "المستشفي"),
        ("اسمه أحمد", "احمد"),
        ("تعيش في إيران", "ایران"),
        ("ٱلقاهرة", "القاهره"),
        ("يشرب القهوة", "القهوه"),
        ("يدرس في مدرسة", "مدرسه"),
        ("ولد عام ١٩٨٤", "1984"),
        ("متولد ۱۳۶۲ است", "1362"),
        # The non-joiner parts a word as a hyphen does.
        ("کتاب\u200cها را می\u200cخواند", "کتاب"),
        ("کتاب\u200cها را می\u200cخواند", "کتاب ها"),
        ("کتاب\u200cها را می\u200cخواند", "میخواند"),
        ("به خانه\u200cاش رفت", "خانه"),
        # Nobody sees these.
        ("Loves the ca\u200bfe at the corner", "cafe"),
        ("Loves the cafe at the corner", "c\u2060a\ufefffe"),
        ("Plays vio\u00adlin", "violin"),
        ("Plays the violin", "vio\u200dlin"),
        ("Auf\u200clage von Büchern", "Auflage"),
        ("Lives in O\u200eslo\u200f", "oslo"),
        ("Skis at Ta\U000e0101hoe", "Tahoe"),
        ("Skis at Ta\u3164hoe", "tahoe"),
    ],
)
def test_spellings_of_one_word_and_what_is_invisible_make_no_difference(document: str, query: str) -> None:
    assert shared_terms(document, query)


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ("用户喜欢吃辣的食物", "辣"),
        ("用户喜欢吃辣的食物", "她喜欢什么食物？"),
        ("用户有一只猫", "养猫吗"),
        ("ユーザーは猫を飼っている", "猫はいますか"),
        ("ユーザーは猫を飼っている", "猫"),
        ("東京都に住んでいます", "東京"),
        ("ラーメンが大好き", "ラーメン"),
        ("ﾗｰﾒﾝが大好き", "ラーメン"),
        ("고양이를 키우고 있다", "고양이가 있나요?"),
        ("개를 키운다", "개"),
        ("개를 키운다", "개가 있나요?"),
        ("ผู้ใช้ชอบกินอาหารเผ็ด", "อาหาร"),
        ("ຂ້ອຍມັກກິນເຂົ້າ", "ກິນ"),
        ("Works at 东京 office", "东京"),
    ],
)
def test_scripts_without_spaces_are_found_by_characters_and_pairs(document: str, query: str) -> None:
    assert shared_terms(document, query)


@pytest.mark.parametrize("query", ["", " ", "%", "'", '"', "%%' OR 1=1 --"[:3], "*", "()", "\x00", "\u200d", "!?", "—"])
def test_punctuation_alone_asks_for_nothing(query: str) -> None:
    assert analyzer.query_terms(query) == []


def test_stop_words_are_out_unless_nothing_else_is_left() -> None:
    assert analyzer.query_terms("What does she do for the fun of it?") == ["fun"]
    assert analyzer.query_terms("Who are you?") == ["who", "are", "you"]
    assert analyzer.query_terms("我的猫") == ["猫", "的猫"]


def test_names_of_months_and_people_are_no_stop_words() -> None:
    assert analyzer.query_terms("Is it in may or will Will come in march?") == ["may", "will", "come", "march"]


def test_shouting_makes_no_acronyms() -> None:
    assert analyzer.query_terms("WHAT DOES IT COST") == ["cost"]


def test_an_english_query_meets_an_english_text_whatever_language_either_looks_like() -> None:
    assert "pizza" in shared_terms("Le gustan las pizzas con queso", "pizza")
    assert "weekend" in shared_terms("Il passe ses weekends dans les Alpes", "weekends")


def test_the_language_is_that_of_most_stop_words() -> None:
    def language(text: str) -> Language:
        return dominant_language([bits for word in text.split() if (bits := stop_languages(word))])

    assert language("le gustan las canciones de su pais") is Language.SPANISH
    assert language("der hund ist nicht im haus") is Language.GERMAN
    assert language("she was at the house") is Language.ENGLISH
    assert language("pizza") is Language.ENGLISH


@pytest.mark.parametrize("query", ["dog", "white van", "hat man", "sea war", "Kim", "Mia Li", "los angeles", "tai chi"])
def test_words_that_mean_something_in_english_are_never_taken_for_stop_words(query: str) -> None:
    assert len(analyzer.query_terms(query)) == len(query.split())


def test_folding_keeps_marks_that_make_another_letter() -> None:
    assert fold("Crème brûlée") == "Creme brulee"
    assert fold("й ガ ผู้ใช้ हिन्दी") == "й ガ ผู้ใช้ हिन्दी"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("и\u0301 у\u0300\u0301", "и\u0301 у\u0300"),
        ("e\u0301\u0302 \u0301", "e "),
        ("a\u00ad\u200b\u2060b\ufe0f\U0001f3fd", "ab"),
        ("ا\u200cا ا\u200c\u200cا", "ا\u200cا اا"),
        ("\u200ca\u200cا ا\u200c", "aا ا"),
        ("Łódź’s Ærø ۱۲", "Lodz's AEro 12"),
    ],
)
def test_folding_takes_away_what_only_decorates(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_cache_that_is_full_starts_again() -> None:
    small = Analyzer(cached_bytes=4_000)
    texts = [f"word{number} skiing" for number in range(50)]
    assert [small.document_terms(text)[-1] for text in texts] == ["ski"] * 50
    assert 0 < small._words.held_bytes <= 2_000


def test_words_of_many_terms_are_remembered_up_to_as_many_bytes() -> None:
    small = Analyzer(cached_bytes=40_000)
    for number in range(1_000):
        small.document_codes(".".join(f"{chr(97 + part)}{number % 7}{part}" for part in range(15)) + f".{number}")
    assert sum(sys.getsizeof(term) for word in small._words.values() for term in word.terms) <= 20_000


@given(st.text(max_size=200))
def test_any_text_finds_itself(text: str) -> None:
    asked = analyzer.query_terms(text)
    assert len(asked) == len(set(asked))
    assert set(asked) <= set(analyzer.document_terms(text))


@pytest.mark.parametrize("unit", ["a", "a-", "é", "é.", "猫", "ก", "🍕", "a'", "x+", "\u0301", "\ufdfa", "़", "İ"])
def test_long_runs_of_anything_are_analysed_in_linear_time(unit: str) -> None:
    assert len(analyzer.document_terms(unit * 8192)) <= 40 * 8192


WORDS = [
    "The",
    "user's",
    "skis",
    "at",
    "Tahoe.",
    "IT",
    "US",
    "us",
    "de",
    "la",
    "casa",
    "no",
    "wi-fi,",
    "C++",
    "node.js",
]
WORDS += [
    "don't",
    "I",
    "café",
    "東京",
    "12",
    "3.5",
    "(hello)",
    "--",
    "a_b",
    "NASA's",
    "x" * 70,
    "\x1c",
    "der",
    "und",
    "ist",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from([" ", "\n", "  ", "\t", "\x1d"]))
def test_the_codes_of_a_text_are_those_of_its_terms(words: list[str], between: str) -> None:
    text = between.join(words)
    assert analyzer.document_codes(text) == term_codes(analyzer.document_terms(text))
    assert analyzer.document_codes(text.upper()) == term_codes(analyzer.document_terms(text.upper()))


@given(st.text())
def test_the_codes_of_any_text_are_those_of_its_terms(text: str) -> None:
    small = Analyzer(cached_bytes=1_000)
    for _ in range(2):
        assert small.document_codes(text) == term_codes(analyzer.document_terms(text))


def test_a_long_text_is_cut_where_its_terms_are() -> None:
    text = "likes skiing in winter, and tea " * 2_000
    assert analyzer.document_codes(text) == term_codes(analyzer.document_terms(text))


@given(st.lists(st.integers(0, 5), max_size=600), st.sampled_from([0, 3]))
def test_codes_are_counted(numbers: list[int], most: int) -> None:
    codes, counts = tallied(array("I", numbers).tobytes(), most)
    found = dict(zip(array("I", codes), counts, strict=True))
    expected = Counter(numbers)
    if most and len(numbers) > most:
        expected = Counter(dict(expected.most_common(most)))
    assert found == {number: min(count, 255) for number, count in expected.items()}


@pytest.mark.parametrize("documents", [10, 3_000])
def test_what_is_gathered_at_once_is_what_is_noted_one_by_one(documents: int) -> None:
    """Of many postings numpy makes one of those that come several times, of few nobody but Python."""
    source = random.Random(documents)
    gathered, at_once, one_by_one = Gathered(), Postings(), Postings()
    for slot in range(documents):
        numbers = [source.choice((3, 5, 7, 11)) << 8 | slot % 3 for _ in range(source.randint(0, 20))]
        codes = array("I", numbers).tobytes()
        gathered.add(codes, b"\1" * (len(codes) // CODE_BYTES), slot, slot % 32)
        one_by_one.add(*tallied(codes), slot, slot % 32)
    ordered = gathered.ordered()
    at_once.add_all(ordered)
    assert (len(ordered) > 8_192) is (documents > 10)
    assert [list(bucket) for bucket in at_once._buckets] == [list(bucket) for bucket in one_by_one._buckets]
