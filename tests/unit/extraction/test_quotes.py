"""A quote repeats words of the message: whole ones, however they are written, and enough of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.extraction.model.quotes import SaidText

SAID = "No,  I’m in\nLyon & I like “Dune”. Tom <3"


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        ('i like "dune"', "I like “Dune"),
        ("tom\u00a0<3", "Tom <3"),
        ("Lyon &amp; I", "Lyon & I"),
        ("Tom &lt;3", "Tom <3"),
        ('"No, I\'m in Lyon."', "No,  I’m in\nLyon"),
    ],
)
def test_a_quote_may_differ_in_typography(quote: str, words: str) -> None:
    assert SaidText(SAID).find(quote) == words


def test_an_accent_may_be_composed_or_not() -> None:
    assert SaidText("Cafe\u0301 owner").find("café owner") == "Café owner"


def test_scripts_without_spaces_are_quoted_too() -> None:
    assert SaidText("我住在北京。").find("住在北京") == "住在北京"
    assert SaidText("저는 서울에 살아요").find("서울") == "서울"


def test_a_letter_that_grows_in_lower_case_keeps_its_place() -> None:
    assert SaidText("İİ lives in İzmir, Türkiye").find("in i̇zmir") == "in İzmir"


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("I live in Ber\u00adlin", "I live in Berlin"),
        ("I live in Berlin", "I live in Ber\u00adlin"),
        ("My \u200bname is A\u200dva", "my name is Ava"),
        ("I ❤️ skiing", "I ❤ skiing"),
        ("I ❤ skiing", "I ❤️ skiing"),
        ("Ｉ ｌｉｖｅ ｉｎ Ｌｙｏｎ！", "I live in Lyon!"),
        ("I live in Lyon", "Ｉ ｌｉｖｅ ｉｎ Ｌｙｏｎ"),
        ("我住在北京，喜欢茶。", "我住在北京,喜欢茶."),
        ("I live in **Lyon** now", "I live in Lyon now"),
        ("I live in Lyon now", "I live in **Lyon** now"),
        ("I use `snake_case` daily", "I use snake_case daily"),
        ("~~Paris~~ *Lyon* is _home_", "Lyon is home"),
        ("> I live in Lyon", "I live in Lyon"),
        ("the ﬁrst oﬃce", "the first office"),
        ("\ufeffI live in Lyon", "I live in Lyon"),
    ],
)
def test_what_is_not_seen_and_how_it_is_set_make_no_difference(said: str, quote: str) -> None:
    assert SaidText(said).find(quote)


@pytest.mark.parametrize(
    ("said", "quote"), [("👍", "👍"), ("👍🏽", "👍🏽"), (" ❤️ ", "❤"), ("5", "5"), ("Y", "y"), ("是", "是")]
)
def test_the_whole_of_a_short_answer_is_a_quote(said: str, quote: str) -> None:
    assert SaidText(said).find(quote) == said.strip()


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("I live in Berlin", "lin"),
        ("I live in Berlin", "a"),
        ("I live in Berlin", "I"),
        ("I live in Berlin", "in"),
        ("I live in Berlin", "live in Ber"),
        ("I live in Berlin", "ive in Berlin"),
        ("Call 555-12345", "55"),
        ("Great 👍 I live in Berlin", "👍"),
        ("I live in Berlin.", "."),
        ("I live in Berlin.", "…"),
        ("I live in Berlin", "I live in Bern"),
        ("Я живу в Москве", "жив"),
        ("I live in Berlin", "\u200b"),
        ("", "anything"),
        ("", ""),
    ],
)
def test_less_than_words_or_almost_nothing_is_no_quote(said: str, quote: str) -> None:
    assert SaidText(said).find(quote) == ""


@pytest.mark.parametrize(
    ("said", "quote"), [("I moved to NY", "NY"), ("I'm 42 now", "42"), ("I code in C#", "code in C")]
)
def test_short_names_and_numbers_are_words(said: str, quote: str) -> None:
    assert SaidText(said).find(quote)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
@settings(deadline=None)
def test_any_text_can_be_looked_up_and_is_found_whole(before: str, quote: str, after: str) -> None:
    SaidText(before + quote + after).find(quote)
    if quote.strip() and any(map(str.isalnum, quote)):
        assert SaidText(quote).find(quote)


def test_of_a_quote_that_stands_inside_words_only_so_many_places_are_looked_at() -> None:
    assert SaidText("Annabel, " * 900 + "Anna").find("Anna") == "Anna"
    assert SaidText("Annabel, " * 1_100 + "Anna").find("Anna") == ""
