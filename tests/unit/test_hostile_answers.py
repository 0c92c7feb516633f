"""What a model answers to other questions than what to learn, as far as it could not be stored or is about nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from memsvc.asking import Answered, Question
from memsvc.consolidation.judging import judged
from memsvc.consolidation.plan import Merging
from memsvc.model import Memory, Message, Role, TextPart, Usage
from memsvc.summaries.writing import written_summary


class Answering(Struct):
    """A model that always answers the same."""

    fields: Mapping[str, Any]

    async def ask(self, question: Question) -> Answered:
        return Answered(self.fields, Usage(calls=1), "fake")


async def test_what_memories_become_has_no_character_that_databases_refuse() -> None:
    group = [Memory(memory_id=f"m{number}", number=number, text=f"Likes {number} dogs") for number in (1, 2)]
    asker = Answering({"merge": [{"numbers": [1, 2], "text": "Likes\0 1 and 2\0dogs"}], "retire": []})
    operations, _ = await judged(asker, [group], "")
    (merging,) = operations
    assert isinstance(merging, Merging)
    assert merging.text == "Likes 1 and 2 dogs"


async def test_a_summary_has_no_character_that_databases_refuse() -> None:
    asker = Answering({"summary": "They\0 spoke.\n\0Twice.", "topics": ["a\0b", "\0", 7]})
    message = Message(Role.USER, (TextPart("Hello"),))
    text, topics, _, _ = await written_summary(asker, None, [message], 2_000, "")
    assert (text, topics) == ("They spoke.\nTwice.", ("a b",))
