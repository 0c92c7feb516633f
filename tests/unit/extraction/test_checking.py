"""Each proposed operation is judged by itself, against the conversation and what the model saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memsvc.extraction.engine import Action, Conversation, LayerSchema, Operation
from memsvc.extraction.model.checking import Checker, Flaw
from memsvc.model import Layer, MediaPart, Memory, Message, Polarity, Role, TextPart, ToolResultPart, Trust

MESSAGES = [
    Message(Role.ASSISTANT, (TextPart("Do you live in Paris?"),)),
    Message(Role.USER, (TextPart("No,  I’m in\nLyon & I like “Dune”. Tom <3"),)),
    Message(Role.USER, (TextPart("I like skiing. I’m in\nLyon"),)),
]
KNOWN = [Memory(memory_id="a", number=17, layer=Layer.PROFILE, key="location", text="Lives in Paris")]
CONVERSATION = Conversation(MESSAGES, known=KNOWN)
ADD: Mapping[str, Any] = {
    "action": "add",
    "layer": "profile",
    "number": 0,
    "text": "The user lives in Lyon.",
    "key": "location",
    "value": '"Lyon"',
    "topics": ["home"],
    "quote": "I'm in Lyon",
    "message_index": 1,
    "polarity": "none",
    "inferred": False,
}


def check(**changes: Any) -> Operation | Flaw:
    return Checker(CONVERSATION, KNOWN).check({**ADD, **changes})


def sound(**changes: Any) -> Operation:
    checked = check(**changes)
    assert isinstance(checked, Operation)
    return checked


def test_a_sound_operation_keeps_the_words_as_the_user_wrote_them() -> None:
    assert check() == Operation(
        action=Action.ADD,
        layer=Layer.PROFILE,
        text="The user lives in Lyon.",
        key="location",
        value_json='"Lyon"',
        topics=("home",),
        quote="I’m in\nLyon",
        message_index=1,
    )


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"action": "replace"}, Flaw.UNKNOWN_ACTION),
        ({"action": None}, Flaw.UNKNOWN_ACTION),
        ({"layer": "hobbies"}, Flaw.WRONG_LAYER),
        ({"text": " \x00\n"}, Flaw.EMPTY_TEXT),
        ({"text": "é" * 5000}, Flaw.TEXT_TOO_LONG),
        ({"value": ["x" * 9000]}, Flaw.TEXT_TOO_LONG),
        ({"action": "update", "number": 18}, Flaw.UNKNOWN_NUMBER),
        ({"action": "delete", "number": -1}, Flaw.UNKNOWN_NUMBER),
        ({"action": "update", "key": ""}, Flaw.NO_TARGET),
        ({"action": "delete", "key": "", "topics": []}, Flaw.NO_TARGET),
        ({"action": "delete", "key": "", "topics": ["a", "b"]}, Flaw.NO_TARGET),
        ({"key": "where?"}, Flaw.MALFORMED_KEY),
        ({"key": "a..b"}, Flaw.MALFORMED_KEY),
        ({"key": "k" * 201}, Flaw.MALFORMED_KEY),
        ({"quote": ""}, Flaw.NO_QUOTE),
        ({"quote": "…"}, Flaw.NO_QUOTE),
        ({"quote": "I live in Lyon"}, Flaw.QUOTE_NOT_SAID),
        ({"quote": "live in Paris"}, Flaw.QUOTE_NOT_SAID),
        ({"quote": "Lyon " * 2000}, Flaw.QUOTE_NOT_SAID),
    ],
)
def test_a_flawed_operation_is_dropped_for_its_flaw(changes: Mapping[str, Any], flaw: Flaw) -> None:
    assert check(**changes) is flaw


@pytest.mark.parametrize("fields", [None, 1, "add", ["add"], {}])
def test_what_is_no_operation_is_dropped(fields: object) -> None:
    assert isinstance(Checker(CONVERSATION, KNOWN).check(fields), Flaw)


def test_a_layer_that_is_not_learned_is_wrong() -> None:
    conversation = Conversation(MESSAGES, schemas=[LayerSchema(Layer.POLICY, "", {})])
    assert Checker(conversation, ()).check(ADD) is Flaw.WRONG_LAYER


@pytest.mark.parametrize("number", [17, "17", "m17"])
def test_an_update_by_number_keeps_the_memorys_layer_and_key(number: object) -> None:
    operation = sound(action="update", number=number, layer="knowledge", key="elsewhere")
    assert (operation.number, operation.layer, operation.key) == (17, Layer.PROFILE, "location")


SCHEMAS = (
    LayerSchema(Layer.PROFILE, "", {"location": "", "role": ""}),
    LayerSchema(Layer.POLICY, "", {"tone": "", "units": ""}),
    LayerSchema(Layer.KNOWLEDGE, "", {"favorites.food": "", "units": ""}),
)


@pytest.mark.parametrize(
    ("changes", "layer"),
    [
        ({"layer": "knowledge", "key": "location"}, Layer.PROFILE),
        ({"layer": "profile", "key": "tone"}, Layer.POLICY),
        ({"layer": "feedback", "key": "favorites.food"}, Layer.KNOWLEDGE),
        ({"layer": "knowledge", "key": "location", "action": "delete"}, Layer.PROFILE),
        ({"layer": "profile", "key": "role", "action": "update", "number": 18}, Layer.PROFILE),
        ({"layer": "knowledge", "key": "units"}, Layer.KNOWLEDGE),
        ({"layer": "profile", "key": "shoe_size"}, Layer.PROFILE),
        ({"layer": "policy", "action": "update", "number": 17}, Layer.PROFILE),
    ],
)
def test_a_key_of_one_layer_is_that_layers_wherever_the_model_puts_it(changes: Mapping[str, Any], layer: Layer) -> None:
    known = [*KNOWN, Memory(memory_id="b", number=18, layer=Layer.KNOWLEDGE, text="Works as a nurse")]
    operation = Checker(replace(CONVERSATION, schemas=SCHEMAS), known).check({**ADD, **changes})
    assert isinstance(operation, Operation)
    assert operation.layer is layer


def test_deletes_name_their_target_in_one_way() -> None:
    by_number = sound(action="delete", number=17)
    by_key = sound(action="delete")
    by_topic = sound(action="delete", key="", topics=["Lyon"])
    assert (by_number.number, by_number.key, by_number.topic) == (17, "", "")
    assert (by_key.number, by_key.key, by_key.topic) == (0, "location", "")
    assert (by_topic.number, by_topic.key, by_topic.topic) == (0, "", "Lyon")


@pytest.mark.parametrize(
    ("value", "value_json"),
    [
        ('"Lyon"', '"Lyon"'),
        ("Lyon", '"Lyon"'),
        ('["en", "de"]', '["en","de"]'),
        (["en", "de"], '["en","de"]'),
        ("42", "42"),
        ("+33 1 23", '"+33 1 23"'),
        ("", ""),
        (None, ""),
        ("null", ""),
        ("\ud800", '"?"'),
        (["\ud800"], ""),
        (float("nan"), ""),
        ("9" * 30, "9" * 30),
    ],
)
def test_values_are_json(value: object, value_json: str) -> None:
    assert sound(value=value).value_json == value_json


def test_a_value_without_a_key_has_no_place() -> None:
    assert sound(key="").value_json == ""


def test_polarity_is_for_feedback() -> None:
    assert sound(layer="feedback", polarity="negative").polarity is Polarity.NEGATIVE
    assert sound(polarity="negative").polarity is Polarity.NONE


def test_what_was_not_said_outright_is_inferred() -> None:
    assert sound(inferred=True).trust is Trust.INFERRED


@pytest.mark.parametrize("index", [None, -1, 0, 9, "1", 2.5, True])
def test_a_quote_is_found_wherever_the_user_said_it(index: object) -> None:
    assert sound(quote="i like skiing", message_index=index).message_index == 2
    assert sound(message_index=2).message_index == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(list(ADD)), json_values))
@settings(deadline=None)
def test_no_fields_whatever_break_the_check(changes: Mapping[str, Any]) -> None:
    assert isinstance(check(**changes), Operation | Flaw)


def checked(text: str, known: Sequence[Memory] = (), role: Role = Role.USER, **changes: Any) -> Operation | Flaw:
    conversation = Conversation([Message(role, (TextPart(text),))], known=known)
    return Checker(conversation, known).check({**ADD, "message_index": 0, **changes})


JOB = Memory(memory_id="b", number=3, layer=Layer.PROFILE, key="company", text="Works at Acme", topics=("work",))


def test_a_deletion_by_key_or_topic_reaches_what_was_not_shown_only_where_the_user_names_it() -> None:
    by_key = {"action": "delete", "layer": "profile", "key": "company", "topics": []}
    by_topic = {"action": "delete", "layer": "profile", "key": "", "topics": ["work"]}
    named = checked("Forget my company", **by_key, quote="Forget my company")
    assert isinstance(named, Operation)
    assert named.among == ()
    shown = checked("Vergiss meinen Job", [JOB], **by_key, quote="Vergiss meinen Job")
    assert isinstance(shown, Operation)
    assert shown.among == (3,)
    assert checked("Vergiss meinen Job", **by_key, quote="Vergiss meinen Job") is Flaw.NOT_ASKED_FOR
    assert checked("I am tired of Mondays", **by_topic, quote="tired of Mondays") is Flaw.NOT_ASKED_FOR


@pytest.mark.parametrize("text", ["Forget everything you know about me", "Vergiss alles über mich", "忘记关于我的一切"])
def test_everything_is_forgotten_when_the_user_asks_for_it(text: str) -> None:
    assert checked(text, action="clear", quote=text) == Operation(action=Action.CLEAR, quote=text, message_index=0)


@pytest.mark.parametrize("text", ["I told you everything", "Everything is fine", "I want a fresh start in life"])
def test_everything_is_not_forgotten_by_the_way(text: str) -> None:
    assert checked(text, action="clear", quote=text) is Flaw.NOT_ASKED_FOR


@pytest.mark.parametrize("named", ["none", "None", "noop", "no_op", " nothing "])
def test_nothing_to_do_is_no_flaw(named: str) -> None:
    assert check(action=named) is Flaw.NO_OPERATION


def test_what_a_tool_or_a_caption_says_in_the_users_message_is_not_what_the_user_said() -> None:
    parts = (
        TextPart("Look at this"),
        MediaPart("image/png", "file:///x", "A photo of Lyon at night"),
        ToolResultPart("c1", (TextPart("Home address: Lyon"),)),
    )
    checker = Checker(Conversation([Message(Role.USER, parts)]), ())
    for quote in ("photo of Lyon", "Home address: Lyon"):
        assert checker.check({**ADD, "quote": quote, "message_index": 0}) is Flaw.QUOTE_NOT_SAID


@pytest.mark.parametrize(("author_id", "user_id"), [("bob", "alice"), ("bob", ""), ("Alice", "alice")])
def test_another_authors_words_are_not_the_users(author_id: str, user_id: str) -> None:
    message = Message(Role.USER, (TextPart("I'm in Lyon"),), author_id=author_id)
    assert Checker(Conversation([message], user_id=user_id), ()).check(ADD) is Flaw.QUOTE_NOT_SAID
    assert isinstance(Checker(Conversation([message], user_id=user_id, shared=True), ()).check(ADD), Operation)
    assert isinstance(Checker(Conversation([message], user_id=author_id), ()).check(ADD), Operation)


@pytest.mark.parametrize(
    ("valid", "begins", "ends"),
    [
        ("2019-03/", "2019-03-01", ""),
        ("2015/2019", "2015-01-01", "2020-01-01"),
        ("/2019-03-05", "", "2019-03-06"),
        ("2020", "2020-01-01", ""),
        ("since always", "", ""),
        ("", "", ""),
        (None, "", ""),
        ("2019-13/2019-02-30", "", ""),
    ],
)
def test_since_and_until_when_it_is_so_are_whole_periods(valid: object, begins: str, ends: str) -> None:
    operation = sound(valid=valid)
    assert (day(operation.valid_from), day(operation.valid_to)) == (begins, ends)


def day(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1_000_000, UTC):%Y-%m-%d}" if micros else ""
