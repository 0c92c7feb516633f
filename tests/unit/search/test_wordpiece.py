"""Texts are cut as BERT's own tokenizer cuts them: `bert_pieces.json` is its output for the texts in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.embedders.table import FOLDER
from memsvc.search.embedders.wordpiece import WordPiece

NAMES = (FOLDER / "pieces.txt").read_text(encoding="utf-8").splitlines()
TOKENIZER = WordPiece({name: number for number, name in enumerate(NAMES)}, NAMES.index("[UNK]"))


@pytest.mark.parametrize(("text", "pieces"), json.loads(Path(__file__).with_name("bert_pieces.json").read_text()))
def test_a_text_is_cut_as_bert_cuts_it(text: str, pieces: list[str]) -> None:
    assert [NAMES[piece.number] for piece in TOKENIZER.pieces(text)] == pieces


@given(st.text(max_size=80))
def test_any_text_can_be_cut_and_the_pieces_of_its_words_cover_them(text: str) -> None:
    assert all(0 < piece.coverage <= 1 for piece in TOKENIZER.pieces(text))


def test_a_cache_that_is_full_starts_again() -> None:
    small = WordPiece({"a": 0, "##b": 1}, 2, cached_bytes=1_000)
    assert [len(small.pieces("a" + "b" * count)) for count in range(8)] == list(range(1, 9))
    assert small._words.held_bytes <= 1_000


def test_what_is_remembered_of_long_words_is_bounded() -> None:
    small = WordPiece({"a": 0}, 0, cached_bytes=100_000)
    for number in range(100):
        small.pieces(f"{number}{'x' * 16_000}")
    assert sum(map(sys.getsizeof, small._words)) <= 100_000
