from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from memsvc.context.folding import one_line
from memsvc.context.json import encode
from memsvc.errors import InvalidArgument
from memsvc.invisible import DEFAULT_IGNORABLE, hides
from memsvc.limits import check_id

SHOWN_FORMATS = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
"""Format characters that are not Default_Ignorable: most of them are seen, three frame annotations."""
HIDDEN = ["\U000e0100", "\U000e01ef", "\u3164", "\u115f", "\u1160", "\uffa0", "\u17b4", "\u034f", "\ufff0", "\u2065"]
HIDDEN += ["\u200b", "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\U000e0fff", "\U0001d173", "\u202e", "\u061c"]
SEEN = ["sarah", "Sarah O'Neil", "日本語", "हिन्दी", "한국어", "🚀", "user|7", "سارة"]


def test_every_format_character_is_ignorable_or_known_to_show() -> None:
    known = re.compile(f"[{DEFAULT_IGNORABLE}{SHOWN_FORMATS}]")
    unknown = [
        f"U+{code:04X}"
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Cf" and not known.match(chr(code))
    ]
    assert unknown == []


def test_what_is_ignorable_is_no_character_that_one_sees() -> None:
    ignorable = re.compile(f"[{DEFAULT_IGNORABLE}]")
    for code in range(sys.maxunicode + 1):
        if ignorable.match(chr(code)):
            category, name = unicodedata.category(chr(code)), unicodedata.name(chr(code), "")
            filler = "FILLER" in name or "SELECTOR" in name or "INHERENT" in name or "JOINER" in name
            assert category in ("Cf", "Cn") or filler, hex(code)


@pytest.mark.parametrize("character", HIDDEN)
def test_an_id_hides_nothing(character: str) -> None:
    for name in (f"sarah{character}", f"{character}sarah", f"sa{character}rah", character):
        assert hides(name)
        with pytest.raises(InvalidArgument, match="printable characters"):
            check_id("scope.user_id", name)


@pytest.mark.parametrize("name", SEEN)
def test_an_id_may_be_in_any_script(name: str) -> None:
    check_id("scope.user_id", name)


@pytest.mark.parametrize("character", HIDDEN)
def test_a_context_hides_nothing(character: str) -> None:
    assert one_line(f"I {character}ski{character} {character}") == "I ski"
    assert character not in encode(f"I ski{character} well")


@pytest.mark.parametrize("text", ["👩\u200d💻", "❤\ufe0f\u200d🔥", "می\u200cخواهم", "ᠭ\u180bᠠ", "क्\u200dष"])
def test_what_scripts_and_emoji_need_stays(text: str) -> None:
    assert one_line(f"I say {text}!") == f"I say {text}!"
    assert encode(text) == f'"{text}"'


@pytest.mark.parametrize("hidden", ["\ufe00\ufe01\ufe02\ufe0f", "\u200d\u200c\u200d\u200c", "\u200d\ufe0f\u200d"])
def test_of_what_is_needed_once_more_is_dropped(hidden: str) -> None:
    assert one_line(f"a{hidden}b") in (f"a{hidden[0]}b", f"a{hidden[:2]}b")
    assert one_line(f"{hidden}b") == "b"
    assert sum(encode(f"a{hidden}b").count(character) for character in set(hidden)) <= 2
