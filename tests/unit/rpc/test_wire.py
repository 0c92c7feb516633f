from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.journal.records import Body
from memsvc.journal.state import Core, State, fold
from memsvc.model import Change, ChangeKind, Layer, Memory, Origin, Polarity, Scope, Trust
from memsvc.rpc.fields import timestamp
from memsvc.rpc.memories import proto_memory
from memsvc.rpc.wire import double_field, fitting, framed_memory, freshness, message_field, number_field, varint
from memsvc.storage.driver import Record, RecordKind
from memsvc.users import HotUser
from memsvc.v1 import context_pb2, memory_pb2, message_pb2

SCOPE = Scope("default", "sarah")
times = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)
texts = st.text(st.characters(codec="utf-8"), max_size=300)

memories = st.builds(
    Memory,
    memory_id=texts,
    number=st.integers(0, 1 << 40),
    layer=st.sampled_from(Layer),
    text=texts,
    key=texts,
    value_json=texts,
    topics=st.lists(texts, max_size=3).map(tuple),
    input=texts,
    origin=st.builds(Origin, agent_id=texts, run_id=texts, engine=texts),
    trust=st.sampled_from(Trust),
    polarity=st.sampled_from(Polarity),
    metadata=st.dictionaries(texts, texts, max_size=3),
    create_time=times,
    update_time=times,
    observe_time=times,
    expire_time=times,
    etag=texts,
    config_revision=st.integers(0, 1 << 40),
)


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_a_varint_is_what_protobuf_writes(number: int) -> None:
    usage = memory_pb2.TopicCount(count=number & 0x7FFFFFFF)

    assert usage.SerializeToString() == (b"\x10" + varint(usage.count) if usage.count else b"")


@settings(deadline=None)
@given(st.integers(0, (1 << 31) - 1))
def test_a_number_is_what_protobuf_writes(number: int) -> None:
    rest = memory_pb2.ListMemoriesResponse(total_size=number)

    assert rest.SerializeToString() == number_field(memory_pb2.ListMemoriesResponse.TOTAL_SIZE_FIELD_NUMBER, number)


@settings(deadline=None)
@given(st.just(0.0) | st.floats(min_value=0, exclude_min=True))
def test_a_double_is_what_protobuf_writes(score: float) -> None:
    assert memory_pb2.SearchHit(score=score).SerializeToString() == double_field(2, score)


@settings(deadline=None)
@given(texts, st.integers(1, 3))
def test_a_field_is_what_protobuf_writes(text: str, repeats: int) -> None:
    part = message_pb2.Part(text=message_pb2.TextPart(text=text))
    whole = message_pb2.ToolResultPart(parts=[part] * repeats)

    assert whole.SerializeToString() == message_field(2, part.SerializeToString()) * repeats


@settings(deadline=None)
@given(st.lists(memories, max_size=3, unique_by=lambda memory: memory.memory_id))
def test_spliced_replies_are_those_built_object_by_object(known: list[Memory]) -> None:
    user = HotUser(State(SCOPE), 0.0, 1)
    messages = [proto_memory(memory, SCOPE) for memory in known]
    framed = [framed_memory(user, memory) for memory in known]
    rest = memory_pb2.ListMemoriesResponse(next_page_token="t", total_size=7, revision=3)
    listed = memory_pb2.ListMemoriesResponse.FromString(b"".join(framed) + rest.SerializeToString())

    assert listed == memory_pb2.ListMemoriesResponse(memories=messages, next_page_token="t", total_size=7, revision=3)
    for memory, part in zip(messages, framed, strict=True):
        got = memory_pb2.GetMemoryResponse.FromString(
            part + memory_pb2.GetMemoryResponse(revision=3).SerializeToString()
        )
        assert got == memory_pb2.GetMemoryResponse(memory=memory, revision=3)
        hit = memory_pb2.SearchHit(score=0.5, shared_user_id="team")
        found = memory_pb2.SearchMemoriesResponse.FromString(message_field(1, part + hit.SerializeToString()))
        hit.memory.CopyFrom(memory)
        assert found == memory_pb2.SearchMemoriesResponse(hits=[hit])


@settings(deadline=None)
@given(st.integers(1, 1 << 62), st.integers(1, 253_402_300_799_999_999))
def test_a_reply_says_of_when_it_is(revision: int, time: int) -> None:
    user = HotUser(State(SCOPE, core=Core(revision=revision)), 0.0, time)
    for reply in (
        memory_pb2.GetMemoryResponse,
        memory_pb2.ListMemoriesResponse,
        memory_pb2.SearchMemoriesResponse,
        context_pb2.CompileContextResponse,
    ):
        fresh = freshness(reply)
        # Nothing is left of the one before.
        for each in (user, HotUser(State(SCOPE), 0.0, 2_000_000), user):
            expected = reply(revision=each.revision, read_time=timestamp(each.checked_time))
            assert fresh(each) == expected.SerializeToString()


def test_what_is_kept_of_a_memory_goes_when_it_changes() -> None:
    user = HotUser(State(SCOPE), 0.0, 1)
    old = Memory(memory_id="m1", number=1, text="old")
    new = Memory(memory_id="m1", number=1, text="new")
    for before, after in ((None, old), (old, new)):
        kind = ChangeKind.CREATED if before is None else ChangeKind.UPDATED
        body = Body(revision=user.revision + 1, changes=(Change(kind, before, after),))
        record = Record(user.state.tip.seq + 1, "n", RecordKind.COMMIT, 1, b"")
        user.move(fold(user.state, record, body), [body])
        assert proto_memory(after, SCOPE).SerializeToString() in framed_memory(user, after)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20)), st.integers(0, 100))
def test_what_fits_is_the_longest_beginning_within_the_limit(parts: list[bytes], limit: int) -> None:
    count = fitting(parts, limit)

    assert len(b"".join(parts[:count])) <= limit
    assert count == len(parts) or len(b"".join(parts[: count + 1])) > limit
