"""The prompt: bounded, stable at its beginning, and proof against what it quotes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.extraction.engine import Conversation, LayerSchema
from memsvc.extraction.model.prompt import (
    PromptBudget,
    StructuredOutput,
    build_prompt,
    encoded_bytes,
    operations_form,
    response_format,
)
from memsvc.extraction.schemas import default_schemas
from memsvc.model import Layer, Memory, Message, Role, TextPart

SCHEMAS = default_schemas()


def say(text: str, role: Role = Role.USER, **more: object) -> Message:
    return Message(role, (TextPart(text),), **more)  # type: ignore[arg-type]


def known(count: int, text: str = "The user skis at Tahoe every winter with Ben, a friend.") -> list[Memory]:
    return [Memory(memory_id=f"id{number}", number=number, text=text) for number in range(1, count + 1)]


def prompt_of(*messages: Message, budget: PromptBudget | None = None, **more: object):  # type: ignore[no-untyped-def]
    conversation = Conversation(messages, schemas=SCHEMAS, **more)  # type: ignore[arg-type]
    return build_prompt(conversation, budget or PromptBudget(), StructuredOutput.JSON_SCHEMA)


def test_the_beginning_is_the_same_for_every_conversation() -> None:
    first = prompt_of(say("I live in Lyon"))
    second = prompt_of(say("I ski"), known=known(50), earlier=[say("Where?", Role.ASSISTANT)])
    assert first.system == second.system


def test_known_memories_come_before_the_conversation_with_their_numbers() -> None:
    memory = Memory(memory_id="secret-id", number=17, layer=Layer.PROFILE, key="location", text="Lives in\nLyon")
    user = prompt_of(say("I moved"), known=[memory]).user
    assert user.startswith("<memories>\nm17 profile.location: Lives in Lyon\n</memories>\n<conversation>")
    assert "secret-id" not in user


def test_messages_are_labelled_and_numbered_and_earlier_ones_are_not() -> None:
    said_time = int(datetime(2024, 5, 1, 14, 3, tzinfo=UTC).timestamp()) * 1_000_000
    user = prompt_of(
        say("Do you ski?", Role.ASSISTANT),
        say("Yes", time=said_time, author_id="ava <x>"),
        earlier=[say("Hello")],
    ).user
    assert user == (
        "<earlier>\n<message role=user>Hello</message>\n</earlier>\n"
        "<conversation>\n<message n=0 role=assistant>Do you ski?</message>\n"
        "<message n=1 role=other author=ava_x_ time='Wed 2024-05-01 14:03 UTC'>Yes</message>\n</conversation>"
    )


@given(st.text("<>/&message conversation\"'=\n", max_size=60))
@settings(deadline=None)
def test_no_text_can_open_or_close_a_tag(text: str) -> None:
    memory = Memory(memory_id="m", number=1, text=text)
    user = prompt_of(say(text), earlier=[say(text, Role.TOOL)], known=[memory]).user
    tags = re.findall(r"</?\w+", user)
    assert set(tags) <= {"<memories", "</memories", "<earlier", "</earlier"} | {
        "<conversation",
        "</conversation",
        "<message",
        "</message",
    }
    assert tags.count("<message") == tags.count("</message") <= 2
    assert tags.count("</conversation") <= 1


@pytest.mark.parametrize("text", ["The user skis.", "q" * 8192, '“é"\\\n\x01🎿' * 500])
def test_known_memories_stay_within_their_budget_best_first(text: str) -> None:
    memories = known(1000, text)
    prompt = prompt_of(say("I ski"), known=memories)
    lines = prompt.user[: prompt.user.index("</memories>")]
    assert 0 < encoded_bytes(lines) <= PromptBudget().known_bytes + len("<memories>\\n")
    assert list(prompt.shown) == memories[: len(prompt.shown)]
    assert len(prompt.shown) >= 3


def test_memories_of_a_layer_that_is_not_learned_are_not_shown() -> None:
    policy = Memory(memory_id="p", number=1, layer=Layer.POLICY, text="Answer briefly")
    conversation = Conversation([say("hello world")], known=[policy], schemas=SCHEMAS[:1])
    prompt = build_prompt(conversation, PromptBudget(), StructuredOutput.JSON_SCHEMA)
    assert prompt.shown == ()


def test_layers_keep_all_keys_and_drop_meanings_that_do_not_fit() -> None:
    wide = LayerSchema(Layer.PROFILE, "Who they are.", {f"key{n}": f"meaning of number {n} " * 4 for n in range(60)})
    conversation = Conversation([say("x")], schemas=[wide])
    system = build_prompt(conversation, PromptBudget(), StructuredOutput.JSON_SCHEMA).system
    assert all(f"key{n}" in system for n in range(60))
    assert "meaning of number 1 " in system
    assert "meaning of number 59 " not in system
    assert encoded_bytes(system[system.index("Layers and") :]) <= PromptBudget().schema_bytes


def test_list_keys_are_marked() -> None:
    assert "languages[]" in prompt_of(say("x")).system


def test_a_long_message_within_the_budget_goes_in_whole() -> None:
    text = "word " * 9000
    prompt = prompt_of(say(text))
    assert text in prompt.user
    assert prompt.cut_bytes == 0


def test_beyond_the_budget_head_and_tail_stay_and_the_cut_is_marked() -> None:
    text = "HEAD " + "é" * 50_000 + " TAIL"
    prompt = prompt_of(say(text), say("I live in Lyon."))
    assert "HEAD" in prompt.user
    assert "TAIL" in prompt.user
    assert " […] " in prompt.user
    assert "I live in Lyon." in prompt.user
    assert prompt.cut_bytes > 50_000
    assert len(prompt.user.encode()) < PromptBudget().user_bytes + 500


def test_what_others_said_cannot_crowd_out_the_user() -> None:
    mine = "I live in Lyon. " * 1000
    prompt = prompt_of(say("a" * 200_000, Role.ASSISTANT), say("t" * 200_000, Role.TOOL), say(mine))
    assert mine in prompt.user
    assert len(prompt.user.encode()) < len(mine) + PromptBudget().context_bytes + 500


def test_of_very_many_messages_the_newest_stay() -> None:
    messages = [say(f"message number {number} " + "x" * 100) for number in range(3000)]
    prompt = prompt_of(*messages)
    assert "message number 2999 " in prompt.user
    assert "message number 0 " not in prompt.user
    assert len(prompt.user.encode()) < PromptBudget().user_bytes


def test_without_a_schema_the_prompt_says_the_form() -> None:
    conversation = Conversation([say("x")], schemas=SCHEMAS)
    system = build_prompt(conversation, PromptBudget(), StructuredOutput.TEXT).system
    assert '{"operations":[{"action":' in system
    assert response_format(operations_form(SCHEMAS), StructuredOutput.TEXT) is None
    assert response_format(operations_form(SCHEMAS), StructuredOutput.JSON_OBJECT) == {"type": "json_object"}


def test_the_schema_is_one_that_strict_mode_takes() -> None:
    form = response_format(operations_form(SCHEMAS[:2]), StructuredOutput.JSON_SCHEMA)
    assert form is not None
    element = form["json_schema"]["schema"]["properties"]["operations"]["items"]
    assert form["json_schema"]["strict"] is True
    assert element["required"] == list(element["properties"])
    assert element["additionalProperties"] is False
    assert element["properties"]["layer"]["enum"] == ["profile", "policy"]
    assert '""' not in json.dumps(form)
