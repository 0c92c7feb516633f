from __future__ import annotations

import pytest
from context_source import Notebook

from memsvc.context import (
    MAX_CUT_IDS,
    ContextFormat,
    ContextRequest,
    Cut,
    CutReason,
    compile_context,
    count_tokens,
    unless_held,
)
from memsvc.model import Layer, Polarity, Trust

TIGHT = 600


def sarah() -> Notebook:
    notebook = Notebook()
    notebook.knows("Plans a trip to Kyoto")
    notebook.feedback("The table helped", Polarity.POSITIVE)
    notebook.profile("Name is Sarah", "name", "Sarah")
    notebook.policy("Wants concise answers", "response_style", "concise")
    return notebook


def crowded(filler: int = 40) -> Notebook:
    """More knowledge than fits into `TIGHT` characters; one of it, not among the newest, is about skiing."""
    notebook = sarah()
    notebook.knows("Learned skiing at Kirkwood as a child")
    for index in range(filler):
        notebook.knows(f"Bought gadget {index} in a shop")
    return notebook


def tight(query: str = "", **fields: object) -> ContextRequest:
    return ContextRequest(query=query, max_characters=TIGHT, **fields)  # type: ignore[arg-type]


def test_policies_come_first_then_profile_knowledge_feedback():
    context = compile_context(sarah().source(), (), ContextRequest())

    assert [section.layer for section in context.sections] == [
        None,
        Layer.POLICY,
        Layer.PROFILE,
        Layer.KNOWLEDGE,
        Layer.FEEDBACK,
        None,
    ]
    assert context.memory_ids == ("m4", "m3", "m1", "m2")
    assert context.text == "".join(section.text for section in context.sections)
    assert not context.cuts


def test_only_the_layers_asked_for_are_shown():
    context = compile_context(sarah().source(), (), ContextRequest(layers=(Layer.FEEDBACK, Layer.POLICY)))

    assert context.memory_ids == ("m4", "m2")
    assert not context.cuts


@pytest.mark.parametrize("form", ContextFormat)
@pytest.mark.parametrize("wrapper", [True, False])
def test_no_memory_is_no_text(form, wrapper):
    context = compile_context(
        Notebook().source(), [Notebook().source("team")], ContextRequest(format=form, wrapper=wrapper)
    )

    assert (context.text, context.sections, context.memory_ids, context.tokens) == ("", (), (), 0)
    assert context.etag


def test_what_fits_whole_is_stable_and_the_query_is_not_asked():
    source = sarah().source()

    contexts = {compile_context(source, (), ContextRequest(query=query)).text for query in ("", "Kyoto", "tables")}

    assert len(contexts) == 1
    assert not source.searches
    assert all(section.stable for section in compile_context(source, (), ContextRequest()).sections)


def test_under_a_budget_what_is_nearest_to_the_query_stays():
    source = crowded().source()

    assert "Kirkwood" not in compile_context(source, (), tight()).text
    assert "Kirkwood" in compile_context(source, (), tight("where did I learn skiing?")).text
    assert source.searches == ["where did I learn skiing?"]


def test_without_a_query_the_newest_stay():
    context = compile_context(crowded(filler=40).source(), (), tight())

    assert "gadget 39 " in context.text
    assert "gadget 0 " not in context.text


def told_much(filler: int = 40) -> Notebook:
    """More profile than fits into `TIGHT` characters, with what matters early, late and beside it."""
    notebook = sarah()
    notebook.profile("Learned skiing at Kirkwood as a child")
    for index in range(filler):
        notebook.profile(f"Worked on project {index} as a writer")
    notebook.profile("Is allergic to peanuts", "allergies", ["peanuts"])
    notebook.knows("Likes pistachio ice cream")
    return notebook


@pytest.mark.parametrize("form", list(ContextFormat))
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["Sarah", "peanuts", "pistachio", "project 39 ", "concise"]),
        ("where did I learn skiing?", ["Sarah", "peanuts", "Kirkwood", "concise"]),
        ("what was project 3 about?", ["Sarah", "peanuts", "project 3 ", "concise"]),
        ("ice cream", ["Sarah", "peanuts", "pistachio", "concise"]),
    ],
)
def test_of_a_profile_that_does_not_fit_the_keys_the_newest_and_the_nearest_stay(
    form: ContextFormat, query: str, shown: list[str]
) -> None:
    context = compile_context(told_much().source(), (), tight(query, format=form))

    assert [each for each in shown if each not in context.text] == []
    assert "project 0 " not in context.text
    assert TIGHT - 60 < len(context.text) <= TIGHT
    assert [(section.layer, section.stable) for section in context.sections if section.layer] in (
        [(Layer.POLICY, True), (Layer.PROFILE, False), (Layer.KNOWLEDGE, False)],
        [(Layer.POLICY, True), (Layer.PROFILE, False)],
    )


def test_keys_of_a_profile_leave_room_for_what_the_query_is_about() -> None:
    notebook = told_much()
    for index in range(100):
        notebook.profile(f"Has shoe size {index} in shop {index}", f"sizes.shop{index}", index)
    assert "Kirkwood" in compile_context(notebook.source(), (), tight("where did I learn skiing?")).text


def test_what_is_left_of_the_budget_goes_to_the_newest():
    context = compile_context(crowded(filler=40).source(), (), tight("skiing"))

    assert "gadget 39 " in context.text
    assert TIGHT - 40 < len(context.text) <= TIGHT


def test_what_is_chosen_keeps_its_order():
    context = compile_context(crowded().source(), (), tight("gadget 30"))

    shown = [section for section in context.sections if section.layer is Layer.KNOWLEDGE]
    numbers = [int(memory_id[1:]) for memory_id in context.memory_ids[2:]]
    assert numbers == sorted(numbers)
    assert len(shown) == 1


def test_sections_before_the_first_that_depends_on_the_query_are_the_same_for_every_query():
    source = crowded().source()

    contexts = [compile_context(source, (), tight(query)) for query in ("", "skiing", "gadget 3", "Kyoto")]

    stable = ["".join(section.text for section in context.sections if section.stable) for context in contexts]
    assert len(set(stable)) == 1
    assert "concise" in stable[0]
    assert "Sarah" in stable[0]
    for context in contexts:
        flags = [section.stable for section in context.sections]
        assert flags == sorted(flags, reverse=True)
        assert False in flags
        assert context.text.startswith(stable[0])


def test_what_is_cut_is_counted_and_the_first_are_named():
    notebook = crowded(filler=200)
    context = compile_context(notebook.source(), (), tight("skiing"))

    assert [(cut.layer, cut.reason) for cut in context.cuts] == [
        (Layer.KNOWLEDGE, CutReason.BUDGET),
        (Layer.FEEDBACK, CutReason.BUDGET),
    ]
    assert sum(cut.count for cut in context.cuts) == len(notebook.memories) - len(context.memory_ids)
    named = [memory_id for cut in context.cuts for memory_id in cut.memory_ids]
    assert len(named) == MAX_CUT_IDS
    assert not set(named) & set(context.memory_ids)


def test_a_text_that_does_not_fit_leaves_room_for_those_that_do():
    notebook = Notebook()
    notebook.profile("x" * 5_000)
    notebook.profile("Skis at Tahoe")

    context = compile_context(notebook.source(), (), tight())

    assert context.memory_ids == ("m2",)
    assert context.cuts == (Cut(Layer.PROFILE, CutReason.BUDGET, 1, ("m1",)),)


def test_only_what_the_filter_lets_through_is_shown_or_counted():
    source = crowded().source()
    request = tight("skiing", matches=lambda memory: "gadget" in memory.text)

    context = compile_context(source, (), request)

    assert "Sarah" not in context.text
    assert "gadget 39 " in context.text
    assert len(context.memory_ids) + sum(cut.count for cut in context.cuts) == 40


def test_a_token_budget_counts_bytes():
    notebook = Notebook()
    for index in range(200):
        notebook.knows(f"日本語のメモ {index}")

    context = compile_context(notebook.source(), (), ContextRequest(max_tokens=100))

    assert 90 < context.tokens <= 100
    assert context.tokens == count_tokens(context.text) == -(-len(context.text.encode()) // 4)


def test_an_etag_that_is_current_answers_unchanged_without_text():
    source = crowded().source()
    first = compile_context(source, (), tight("skiing"))

    again = unless_held(compile_context(source, (), tight("skiing")), first.etag)
    other = unless_held(compile_context(source, (), tight("Kyoto")), first.etag)

    assert (again.unchanged, again.text, again.sections, again.memory_ids) == (True, "", (), ())
    assert (again.etag, again.tokens) == (first.etag, first.tokens)
    assert not other.unchanged
    assert other.text


def test_etags_tell_texts_and_formats_apart():
    empty = Notebook().source()
    etags = {
        compile_context(source, (), ContextRequest(format=form)).etag
        for form in ContextFormat
        for source in (empty, sarah().source())
    }

    assert len(etags) == 6


def test_an_explicit_policy_outranks_inferred_ones_about_the_same_thing():
    notebook = Notebook()
    inferred = Trust.INFERRED
    notebook.policy("Likes it formal", "tone", "formal", trust=inferred)
    notebook.policy("Be casual in email", "email.tone", "casual")
    notebook.policy("Write briefly", topics=["Answer Length"])
    notebook.policy("Likes long answers", topics=["answer-length"], trust=inferred)
    notebook.policy("Likes long mails", "mail.answer_length", "long", trust=inferred)
    notebook.policy("Chats are formal", "chat.tone", "formal", trust=inferred)
    notebook.policy("Likes tables", topics=["tables", "answer length"], trust=inferred)
    notebook.policy("Prefers email", "channel", "email", trust=inferred)

    context = compile_context(notebook.source(), (), ContextRequest())

    assert context.cuts == (Cut(Layer.POLICY, CutReason.OUTRANKED, 3, ("m1", "m4", "m5")),)
    assert context.memory_ids == ("m2", "m6", "m8", "m3", "m7")


def test_without_an_explicit_policy_inferred_ones_stand():
    notebook = Notebook()
    notebook.policy("Likes it formal", "tone", "formal", trust=Trust.INFERRED)
    notebook.policy("Likes mails casual", "email.tone", "casual", trust=Trust.INFERRED)

    assert not compile_context(notebook.source(), (), ContextRequest()).cuts


def test_a_users_explicit_policy_outranks_what_was_inferred_of_a_team():
    team = Notebook()
    team.policy("Wants long answers", "response_style", "long", trust=Trust.INFERRED)
    team.policy("Never promise refunds")

    context = compile_context(sarah().source(), [team.source("team:support")], ContextRequest())

    assert context.cuts == (Cut(Layer.POLICY, CutReason.OUTRANKED, 1, ("m1",), "team:support"),)
    assert "Never promise refunds" in context.text


def test_shared_users_come_after_the_users_own_in_sections_that_name_them():
    team = Notebook()
    team.policy("Never promise refunds")
    team.knows("Refunds take 5 days")

    context = compile_context(sarah().source(), [team.source("team:support"), team.source("org")], ContextRequest())

    owners = [section.shared_user_id for section in context.sections]
    assert owners == [""] * 5 + ["team:support"] * 4 + ["org"] * 4 + [""]
    assert '<shared_memory user="team:support">' in context.text
    assert context.text.index("Kyoto") < context.text.index("refunds")


def test_a_user_is_shown_once():
    source = sarah().source()
    team = crowded(1).source("team")

    once = compile_context(source, [team], ContextRequest()).text

    assert compile_context(source, [team, source, team], ContextRequest()).text == once


def test_of_a_crowded_user_and_a_crowded_team_both_show_what_is_nearest():
    team = Notebook()
    team.policy("Never promise refunds")
    team.knows("Skiing lessons are booked by the front desk")
    for index in range(100):
        team.knows(f"Ticket {index} was closed")
    own = crowded().source()

    context = compile_context(own, [team.source("team")], tight("book skiing"))

    assert "Kirkwood" in context.text
    assert "front desk" in context.text
    stable = "".join(section.text for section in context.sections if section.stable)
    assert "refunds" in stable
    assert stable == "".join(
        section.text
        for section in compile_context(own, [team.source("team")], tight("gadget")).sections
        if section.stable
    )


def test_of_several_crowded_users_the_nearest_of_all_go_in_first():
    team, own = Notebook(), Notebook()
    for index in range(100):
        own.knows(f"Bought a lamp, number {index}")
        team.knows(f"Ticket {index} was closed")
    for index in range(8):
        team.knows(f"A broken lamp gets a refund, rule {index}")

    context = compile_context(own.source(), [team.source("team:support")], tight("refund for a broken lamp"))

    assert context.text.count("gets a refund") == 8


def test_a_word_that_a_shared_user_says_all_the_time_is_common_to_all():
    team, own = Notebook(), Notebook()
    for index in range(100):
        own.knows(f"Filler {index} of some length")
        team.knows(f"Invoice {index} was paid by the customer")
    own.knows("The violin of the neighbour")
    own.knows("The invoice of the plumber")
    room_for_one = ContextRequest(query="violin invoice", max_characters=115)

    assert "violin" in compile_context(own.source(), [team.source("team:support")], room_for_one).text
    assert "plumber" in compile_context(own.source(), (), room_for_one).text


def test_a_team_never_takes_more_than_half_of_what_a_crowded_user_needs():
    team = Notebook()
    for index in range(100):
        team.policy(f"Rule {index} of the team")

    context = compile_context(crowded().source(), [team.source("team")], tight("skiing"))

    own = sum(len(section.text) for section in context.sections if not section.shared_user_id)
    assert own > TIGHT // 2
    assert "Kirkwood" in context.text
    assert "Rule 0 " in context.text


def test_a_team_gets_all_that_the_user_does_not_need():
    team = Notebook()
    for index in range(100):
        team.policy(f"Rule {index} of the team")

    context = compile_context(sarah().source(), [team.source("team")], tight("skiing"))

    assert len(context.text) > TIGHT - 40


def test_the_same_request_is_answered_from_the_cache_until_the_revision_moves():
    source, team = crowded().source(), sarah().source("team")
    first = compile_context(source, [team], tight("skiing"))
    reads = source.layers_read

    assert compile_context(source, [team], tight("skiing")) is first
    assert source.layers_read == reads

    team.revision += 1
    assert compile_context(source, [team], tight("skiing")) is not first


def test_whatever_the_query_what_fits_whole_is_compiled_once():
    source = sarah().source()
    first = compile_context(source, (), ContextRequest())

    assert compile_context(source, (), ContextRequest(query="anything")) is first


@pytest.mark.parametrize(
    "other",
    [
        tight("Kyoto"),
        tight("skiing", format=ContextFormat.JSON),
        tight("skiing", wrapper=False),
        tight("skiing", layers=(Layer.KNOWLEDGE,)),
        ContextRequest(query="skiing", max_characters=TIGHT + 100),
        ContextRequest(query="skiing", max_tokens=100),
        tight("skiing", matches=lambda memory: memory.number % 2 == 0),
    ],
)
def test_another_request_is_answered_for_itself(other):
    source = crowded().source()
    first = compile_context(source, (), tight("skiing"))

    assert compile_context(source, (), other).text == compile_context(crowded().source(), (), other).text
    assert compile_context(source, (), other).text != first.text


def test_what_is_cached_of_a_user_is_bounded():
    source = crowded(2_000).source()
    for index in range(40):
        compile_context(source, (), ContextRequest(query=f"gadget {index}"))

    cache = source.cache["context"]
    assert cache.size_bytes <= 128 << 10
    latest = compile_context(source, (), ContextRequest(query="gadget 39"))
    assert compile_context(source, (), ContextRequest(query="gadget 39")) is latest


def test_a_context_with_a_memory_that_expires_is_not_kept():
    notebook = sarah()
    notebook.knows("Is in Rome this week", expire_time=1)
    source = notebook.source()

    first = compile_context(source, (), ContextRequest())

    assert "Rome" in first.text
    assert compile_context(source, (), ContextRequest()) is not first


def test_a_large_layer_is_not_read_beyond_what_the_budget_holds():
    class Counting(dict):
        read = 0

        def values(self):
            for value in super().values():
                Counting.read += 1
                yield value

        def items(self):
            return ((value.memory_id, value) for value in self.values())

    source = crowded(10_000).source()
    source._layers = {layer: Counting(memories) for layer, memories in source._layers.items()}

    context = compile_context(source, (), ContextRequest(query="gadget 77"))

    assert sum(cut.count for cut in context.cuts) > 9_000
    assert Counting.read < 1_000
