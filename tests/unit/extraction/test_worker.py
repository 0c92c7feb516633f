"""An accepted extraction ends, and its effect happens once: whatever becomes of the workers."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import Any

import pytest
from replica import SARAH, MakeReplica, Replica

from memsvc.administration import Administration
from memsvc.config import Config
from memsvc.errors import FailedPrecondition, Permanent, Reason, Retryable, StorageUnavailable, Unusable
from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.jobs.claims import ClaimCommand, Claimed, FinishCommand, Limits, PostponeCommand
from memsvc.extraction.jobs.events import Accepted, Committed, Completed, Failed, Proposed, Refused, Retried
from memsvc.extraction.jobs.extractions import Numbered
from memsvc.extraction.jobs.troubles import Trouble
from memsvc.extraction.reconcile import Source, Sources
from memsvc.ids import new_id
from memsvc.journal.lifecycle import has_waited_since
from memsvc.journal.records import Claim
from memsvc.model import (
    ExtractionState,
    LearningMode,
    Message,
    Origin,
    Refusal,
    Role,
    Run,
    Scope,
    TextPart,
    Usage,
    decode,
)
from memsvc.sessions import AppendRunCommand, Quiet
from memsvc.storage.driver import PageOf, RowKind
from memsvc.storage.memory import MemoryDriver

LIMITS = Limits(5, 3600.0)
DAY = 24 * 3600 * 1_000_000


async def claim(replica: Replica, owner: str, expired: int = 0) -> Claimed | None:
    return await replica.writer.write(SARAH, ClaimCommand(owner, 0, 30.0, LIMITS, expired))


async def finish(replica: Replica, claimed: Claimed) -> object:
    sources = Sources([], Source(Origin(), 1))
    return await replica.writer.write(SARAH, FinishCommand(claimed.claim, [], sources, Usage(), 10))


async def test_a_run_is_learned_from(replica: Replica) -> None:
    replica.worker.start()
    receipt = await replica.say("I ski")
    extraction, commit = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert extraction.state is ExtractionState.SUCCEEDED
    assert commit is not None
    assert extraction.usage == Usage(1, 10, 0, 5)
    assert await replica.texts() == ["I ski"]


async def test_what_runs_are_found_by_is_stored_with_what_was_learned(replica: Replica) -> None:
    receipts = [await replica.say(text, quiet=0.2) for text in ("I ski", "I sail")]
    run_ids = [receipt.run_id for receipt in receipts]
    assert (await replica.users.latest(SARAH)).state.core.said_owed == tuple(run_ids)
    replica.worker.start()
    await replica.extractions.wait(SARAH, receipts[0].extraction_id, 10)
    said = await replica.driver.rows(PageOf(SARAH, RowKind.SAID, limit=10))
    assert [row.row_id for row in said] == run_ids
    assert (await replica.users.latest(SARAH)).state.core.said_owed == ()


async def test_what_runs_are_found_by_is_stored_when_learning_is_given_up(make_replica: MakeReplica) -> None:
    replica = make_replica(max_attempts=2)
    unusable = Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "no JSON", Usage(calls=1))
    replica.engine.failures = [Permanent(Reason.MODEL_REFUSED, "refused"), unusable, unusable]
    replica.worker.start()
    receipts = []
    for session_id, text in (("s1", "I ski"), ("s2", "I sail")):
        receipts.append(await replica.say(text, session_id))
        extraction, _ = await replica.extractions.wait(SARAH, receipts[-1].extraction_id, 10)
        assert extraction.state is ExtractionState.FAILED
    said = await replica.driver.rows(PageOf(SARAH, RowKind.SAID, limit=10))
    assert [row.row_id for row in said] == [receipt.run_id for receipt in receipts]
    assert (await replica.users.latest(SARAH)).state.core.said_owed == ()


async def test_runs_of_a_session_that_wait_together_cost_one_call(replica: Replica) -> None:
    replica.worker.start()
    receipts = [await replica.say(text, quiet=5.0) for text in ("I ski", "I sail")]
    assert receipts[0].extraction_id == receipts[1].extraction_id
    await replica.extractions.wait(SARAH, receipts[0].extraction_id, 10)
    assert len(replica.engine.calls) == 1
    assert await replica.texts() == ["I sail", "I ski"]


async def test_a_later_run_is_read_with_what_was_said_before(replica: Replica) -> None:
    replica.worker.start()
    for text in ("I live in Paris", "Yes, there"):
        receipt = await replica.say(text)
        await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    last = replica.engine.calls[-1]
    assert [message.text for message in last.earlier] == ["I live in Paris"]
    assert [memory.text for memory in last.known] == ["I live in Paris"]


async def test_eight_equal_messages_at_once_leave_one_memory(replica: Replica) -> None:
    replica.worker.start()
    receipts = await asyncio.gather(*(replica.say("I ski", session_id=f"s{n}") for n in range(8)))
    for receipt in receipts:
        await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert await replica.texts() == ["I ski"]


async def test_a_user_is_never_claimed_twice_by_sixteen_workers(make_replica: MakeReplica) -> None:
    replicas = [make_replica() for _ in range(16)]
    await replicas[0].say("I ski")
    claims = await asyncio.gather(*(claim(replica, f"w{n}") for n, replica in enumerate(replicas)))
    assert sum(each is not None for each in claims) == 1


async def test_a_worker_frozen_past_its_lease_commits_nothing(make_replica: MakeReplica) -> None:
    frozen, other = make_replica(), make_replica()
    frozen.worker.attempts.settings = Config(lease_seconds=0.2, poll_seconds=0.02)
    frozen.engine.gate.clear()
    frozen.worker.start()
    receipt = await frozen.say("I ski")
    await frozen.engine.reading.wait()
    stuck = (await other.users.latest(SARAH)).state.core
    taken = await claim(other, "other", stuck.claim_seq)
    assert taken is not None
    frozen.engine.gate.set()
    await frozen.worker.stop()
    assert await other.texts() == []
    assert await finish(other, taken) is not None
    extraction = await other.extractions.get(SARAH, receipt.extraction_id)
    assert extraction.state is ExtractionState.SUCCEEDED
    assert await other.texts() == []


async def test_a_worker_that_died_is_replaced_once_its_lease_was_seen_to_pass(make_replica: MakeReplica) -> None:
    dead, alive = make_replica(), make_replica()
    receipt = await dead.say("I ski")
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 0.2, LIMITS)) is not None
    alive.worker.start()
    extraction, _ = await alive.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert extraction.state is ExtractionState.SUCCEEDED
    assert extraction.attempt == 2


async def test_a_worker_that_died_is_replaced_also_while_its_user_goes_on_writing(make_replica: MakeReplica) -> None:
    dead, alive = make_replica(), make_replica()
    receipt = await dead.say("I ski")
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 0.3, LIMITS)) is not None
    alive.worker.start()

    async def go_on_writing() -> None:
        while True:
            await alive.say("Hello", session_id="s2", quiet=60.0)
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(go_on_writing())
    extraction, _ = await alive.extractions.wait(SARAH, receipt.extraction_id, 20)
    writing.cancel()

    assert extraction.state is ExtractionState.SUCCEEDED


async def test_a_claim_that_took_the_place_of_a_lost_one_has_a_lease_of_its_own(
    driver: MemoryDriver, make_replica: MakeReplica
) -> None:
    """As after a failover of Redis to a replica that lacked the first claim."""
    dead, alive, watching = make_replica(), make_replica(), make_replica(poll_seconds=0.1)
    receipt = await dead.say("I ski")
    before = copy.deepcopy(driver._store)
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 1.0, LIMITS)) is not None
    lost, driver._store = driver._store, before
    claimed = await alive.writer.write(SARAH, ClaimCommand("alive", 0, 60.0, LIMITS))
    assert claimed is not None
    taken, driver._store = driver._store, lost
    watching.worker.start()
    while SARAH not in watching.worker._sightings:
        await asyncio.sleep(0.01)

    driver._store = taken
    lapses = watching.worker._sightings[SARAH].lapses
    while time.monotonic() < lapses + 0.5:
        await asyncio.sleep(0.05)

    assert watching.engine.calls == []
    assert await finish(alive, claimed) is not None
    assert (await alive.extractions.get(SARAH, receipt.extraction_id)).state is ExtractionState.SUCCEEDED


async def test_a_claim_that_may_be_dead_is_left_alone_until_its_lease_has_passed(
    make_replica: MakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = make_replica(), make_replica(poll_seconds=0.1)
    receipt = await dead.say("I ski")
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 0.5, LIMITS)) is not None
    looks = 0
    due = alive.driver.due

    async def counted(before: int, limit: int) -> Any:
        nonlocal looks
        looks += 1
        return await due(before, limit)

    monkeypatch.setattr(alive.driver, "due", counted)
    alive.worker.start()
    started = asyncio.get_running_loop().time()
    while (await dead.extractions.get(SARAH, receipt.extraction_id)).state is not ExtractionState.SUCCEEDED:
        await asyncio.sleep(0.02)

    took = asyncio.get_running_loop().time() - started
    # It looks as often as it always does, not again and again.
    assert looks < 10 + 4 * took / alive.worker.settings.poll_seconds


async def claim_of(replica: Replica) -> Claim:
    claim = (await replica.users.latest(SARAH)).state.core.claim
    assert claim is not None
    return claim


@pytest.mark.parametrize("ahead_seconds", [600.0, -600.0])
async def test_leases_hold_with_clocks_ten_minutes_apart(make_replica: MakeReplica, ahead_seconds: float) -> None:
    owner, other = make_replica(lease_seconds=1.5), make_replica(clock_ahead_seconds=ahead_seconds)
    owner.engine.gate.clear()
    owner.worker.start()
    receipt = await owner.say("I ski")
    await owner.engine.reading.wait()
    other.worker.start()
    # A claim is renewed three times in its lease: by then it would have been taken for dead.
    while (await claim_of(other)).renewals < 5:
        await asyncio.sleep(0.02)
    assert other.engine.calls == []
    owner.engine.gate.set()
    extraction, _ = await owner.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert extraction.attempt == 1
    assert await owner.texts() == ["I ski"]


async def test_a_batch_killed_before_finish_is_not_relearned_with_a_newcomer(make_replica: MakeReplica) -> None:
    dead, alive = make_replica(), make_replica()
    first = await dead.say("I ski")
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 0.1, LIMITS)) is not None
    second = await alive.say("I sail")
    assert first.extraction_id != second.extraction_id
    alive.worker.start()
    for receipt in (first, second):
        extraction, _ = await alive.extractions.wait(SARAH, receipt.extraction_id, 10)
        assert extraction.state is ExtractionState.SUCCEEDED
    read = [message.text for call in alive.engine.calls for message in call.messages]
    assert sorted(read) == ["I sail", "I ski"]


async def test_an_extraction_that_kills_its_worker_is_parked(make_replica: MakeReplica) -> None:
    replica = make_replica()
    receipt = await replica.say("I ski")
    expired = 0
    for attempt in range(LIMITS.max_attempts):
        assert await claim(replica, f"w{attempt}", expired) is not None
        expired = (await replica.users.latest(SARAH)).state.core.claim_seq
    assert await claim(replica, "last", expired) is None
    extraction = await replica.extractions.get(SARAH, receipt.extraction_id)
    assert (extraction.state, extraction.reason) == (ExtractionState.FAILED, Reason.WORKER_LOST)
    again = await replica.extractions.retry(SARAH, [receipt.extraction_id], None)
    assert again[0].state is ExtractionState.WAITING
    replica.worker.start()
    assert (await replica.extractions.wait(SARAH, receipt.extraction_id, 10))[1] is not None


async def test_cancel_and_commit_have_exactly_one_winner(replica: Replica) -> None:
    for _ in range(20):
        receipt = await replica.say("I ski")
        claimed = await claim(replica, "w")
        assert claimed is not None
        results = await asyncio.gather(
            finish(replica, claimed),
            replica.extractions.cancel(SARAH, receipt.extraction_id, None),
            return_exceptions=True,
        )
        committed = results[0] is not None
        cancelled = not isinstance(results[1], FailedPrecondition)
        assert committed != cancelled


async def test_cancelling_stops_the_work_under_way(replica: Replica) -> None:
    replica.engine.gate.clear()
    replica.worker.start()
    receipt = await replica.say("I ski")
    await replica.engine.reading.wait()
    cancelled = await replica.extractions.cancel(SARAH, receipt.extraction_id, None)
    assert cancelled.state is ExtractionState.CANCELLED
    replica.engine.gate.set()
    second = await replica.say("I sail")
    await replica.extractions.wait(SARAH, second.extraction_id, 10)
    assert await replica.texts() == ["I sail"]


async def test_an_erasure_is_not_undone_by_a_running_extraction(replica: Replica) -> None:
    replica.engine.gate.clear()
    replica.worker.start()
    receipt = await replica.say("I ski")
    await replica.engine.reading.wait()
    await Administration(replica.users, replica.writer).erase(SARAH, None)
    replica.engine.gate.set()
    extraction = await replica.extractions.get(SARAH, receipt.extraction_id)
    assert (extraction.state, extraction.reason) == (ExtractionState.CANCELLED, Reason.USER_ERASED)
    await replica.worker.stop()
    assert await replica.texts() == []


async def test_unusable_output_is_tried_again_and_then_fails_aloud(make_replica: MakeReplica) -> None:
    replica = make_replica(max_attempts=2)
    replica.engine.failures = [Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "no JSON", Usage(calls=1)) for _ in range(2)]
    replica.worker.start()
    receipt = await replica.say("I ski")
    extraction, commit = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert (extraction.state, extraction.reason) == (ExtractionState.FAILED, Reason.MODEL_OUTPUT_UNUSABLE)
    assert (extraction.attempt, extraction.usage.calls, commit) == (2, 2, None)


async def test_a_limited_model_counts_no_attempt(make_replica: MakeReplica) -> None:
    replica = make_replica(max_attempts=2)
    limited = Retryable(Reason.MODEL_RATE_LIMITED, "429", retry_after_seconds=0.01, counts=False)
    replica.engine.failures = [limited] * 4
    replica.worker.start()
    receipt = await replica.say("I ski")
    extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)


async def test_a_job_that_has_waited_long_is_tried_soon_after_the_database_was_away(make_replica: MakeReplica) -> None:
    replica = make_replica()
    receipt = await replica.say("I ski")
    clock = replica.users.clock
    replica.users.clock = lambda: clock() + 600_000_000
    replica.engine.failures = [StorageUnavailable("away")]
    replica.worker.start()

    extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)

    assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)


async def test_a_job_that_nobody_could_try_for_long_is_tried_before_it_is_given_up(make_replica: MakeReplica) -> None:
    replica = make_replica()
    receipt = await replica.say("I ski")
    clock = replica.users.clock
    replica.users.clock = lambda: clock() + 8 * DAY
    claimed = await claim(replica, "w1")
    assert claimed is not None
    # Its worker is told to stop: that is no reason to give up, either.
    handed_back = PostponeCommand(claimed.claim, "", "", Usage(), 0.0, counts=False, fails=False, limits=LIMITS)
    await replica.writer.write(SARAH, handed_back)
    replica.worker.start()

    extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)

    assert (extraction.state, extraction.reason) == (ExtractionState.SUCCEEDED, "")


async def test_a_job_that_had_trouble_for_long_is_given_up(make_replica: MakeReplica) -> None:
    replica = make_replica()
    receipt = await replica.say("I ski")
    claimed = await claim(replica, "w1")
    assert claimed is not None
    trouble = PostponeCommand(
        claimed.claim, Reason.MODEL_RATE_LIMITED, "429", Usage(), 0.0, counts=False, fails=False, limits=LIMITS
    )
    await replica.writer.write(SARAH, trouble)
    clock = replica.users.clock
    replica.users.clock = lambda: clock() + 8 * DAY
    replica.worker.start()

    extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)

    assert (extraction.state, extraction.reason) == (ExtractionState.FAILED, Reason.GAVE_UP)


async def test_a_worker_that_died_is_replaced_though_a_clock_was_ahead_before(make_replica: MakeReplica) -> None:
    ahead, dead = make_replica(clock_ahead_seconds=2 * DAY / 1e6), make_replica()
    await ahead.say("I sail", session_id="s2", quiet=60.0)
    receipt = await dead.say("I ski")
    assert await dead.writer.write(SARAH, ClaimCommand("dead", 0, 0.2, LIMITS)) is not None
    # Started anew: it has not seen the claim being made.
    alive = make_replica()
    alive.worker.start()

    extraction, _ = await alive.extractions.wait(SARAH, receipt.extraction_id, 10)

    assert extraction.state is ExtractionState.SUCCEEDED


async def test_what_was_dated_ahead_is_as_old_as_it_is(replica: Replica) -> None:
    replica.worker.start()
    dated = Message(Role.USER, (TextPart("I ski"),), time=replica.users.clock() + 365 * DAY)
    run = Run(session_id="s1", run_id="r1", index=0, messages=(dated,))
    command = AppendRunCommand(run, 5, LearningMode.AUTOMATIC, Quiet(0.0, 0.0), new_id())
    receipt = await replica.sessions.append(SARAH, command)

    await replica.extractions.wait(SARAH, receipt.extraction_id, 10)

    (memory,) = (await replica.users.latest(SARAH)).memories()
    assert memory.observe_time <= replica.users.clock()
    assert replica.engine.calls[0].messages[0].time == memory.observe_time
    page = await replica.driver.rows(PageOf(SARAH, RowKind.RUN, limit=1))
    assert decode(page[0].body, Run).messages == (dated,)


async def test_a_refusal_is_final(replica: Replica) -> None:
    replica.engine.failures = [Permanent(Reason.MODEL_REFUSED, "refused")]
    replica.worker.start()
    receipt = await replica.say("I ski")
    extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert (extraction.state, extraction.attempt) == (ExtractionState.FAILED, 1)


async def test_a_stopped_worker_hands_its_work_back(make_replica: MakeReplica) -> None:
    stopping, other = make_replica(), make_replica()
    stopping.engine.gate.clear()
    stopping.worker.start()
    receipt = await stopping.say("I ski")
    await stopping.engine.reading.wait()
    await stopping.worker.stop()
    waiting = await other.extractions.get(SARAH, receipt.extraction_id)
    assert (waiting.state, waiting.attempt) == (ExtractionState.WAITING, 0)
    other.worker.start()
    extraction, _ = await other.extractions.wait(SARAH, receipt.extraction_id, 10)
    assert extraction.state is ExtractionState.SUCCEEDED


async def test_a_watch_sees_every_stored_event_once_and_can_be_resumed(replica: Replica) -> None:
    replica.worker.start()
    receipt = await replica.say("I ski")
    seen = [event async for event in replica.extractions.watch(SARAH, receipt.extraction_id)]
    stored = [event for event in seen if event.number]
    assert [type(event.event) for event in stored] == [Accepted, Committed, Completed]
    assert any(isinstance(event.event, Proposed) for event in seen)
    token = stored[0].resume_token
    rest = [event async for event in replica.extractions.watch(SARAH, receipt.extraction_id, token)]
    assert [event.number for event in rest] == [2, 3]


async def stored_events(replica: Replica, extraction_id: str, token: str = "") -> list[Numbered]:
    return [event async for event in replica.extractions.watch(SARAH, extraction_id, token) if event.number]


async def test_a_stream_goes_on_where_it_ended_when_its_extraction_is_retried(replica: Replica) -> None:
    replica.engine.failures = [Permanent(Reason.MODEL_REFUSED, "refused")]
    replica.worker.start()
    receipt = await replica.say("I ski")
    first = await stored_events(replica, receipt.extraction_id)
    assert [type(event.event) for event in first] == [Accepted, Failed, Completed]
    await replica.extractions.retry(SARAH, [], None)
    token = first[-1].resume_token
    second = await stored_events(replica, receipt.extraction_id, token)
    assert [(event.number, type(event.event)) for event in second] == [(4, Committed), (5, Completed)]


async def test_the_events_of_a_retried_extraction_are_the_same_for_whoever_looks_later(replica: Replica) -> None:
    receipt = await replica.say("I ski", quiet=60.0)
    await replica.extractions.cancel(SARAH, receipt.extraction_id, None)
    await replica.extractions.retry(SARAH, [receipt.extraction_id], None)
    replica.engine.failures = [Permanent(Reason.MODEL_REFUSED, "refused")]
    replica.worker.start()
    before = await stored_events(replica, receipt.extraction_id)
    await replica.extractions.retry(SARAH, [], None)
    seen = await stored_events(replica, receipt.extraction_id)

    assert [type(event.event) for event in before] == [Accepted, Failed, Retried, Failed, Completed]
    kinds = [Accepted, Failed, Retried, Failed, Retried, Committed, Completed]
    assert [(event.number, type(event.event)) for event in seen] == list(enumerate(kinds, start=1))
    assert seen[:4] == before[:4]
    failures = [event.event for event in seen if isinstance(event.event, Failed)]
    assert [each.reason for each in failures] == [Reason.CANCELLED_BY_REQUEST, Reason.MODEL_REFUSED]
    for event in seen:
        rest = await stored_events(replica, receipt.extraction_id, event.resume_token)
        assert rest == seen[event.number :]


async def test_however_often_it_is_retried_its_events_keep_their_numbers(replica: Replica) -> None:
    receipt = await replica.say("I ski", quiet=60.0)
    for _ in range(40):
        await replica.extractions.cancel(SARAH, receipt.extraction_id, None)
        await replica.extractions.retry(SARAH, [receipt.extraction_id], None)
    replica.worker.start()
    seen = await stored_events(replica, receipt.extraction_id)
    assert [event.number for event in seen] == list(range(1, 84))
    assert isinstance(seen[-1].event, Completed)


async def test_a_retry_does_not_change_when_an_extraction_was_accepted(replica: Replica) -> None:
    receipt = await replica.say("I ski", quiet=60.0)
    accepted = (await replica.extractions.get(SARAH, receipt.extraction_id)).create_time
    await replica.extractions.cancel(SARAH, receipt.extraction_id, None)
    clock = replica.users.clock
    replica.users.clock = lambda: clock() + 3_600_000_000
    await replica.extractions.retry(SARAH, [receipt.extraction_id], None)
    again = await replica.extractions.get(SARAH, receipt.extraction_id)
    assert (again.create_time, has_waited_since(again) > accepted) == (accepted, True)


async def test_what_is_not_done_is_told_in_the_stream(replica: Replica) -> None:
    refusal = Refusal(Reason.OPERATION_FORBIDDEN, "clearing a user's memory is switched off")
    await replica.say("I ski")
    claimed = await claim(replica, "w")
    assert claimed is not None
    clear = Operation(action=Action.CLEAR, quote="forget everything")
    sources = Sources([], Source(Origin(), 1))
    await replica.writer.write(SARAH, FinishCommand(claimed.claim, [clear], sources, Usage(), 10))
    extraction_id = claimed.extractions[0].extraction_id
    seen = await stored_events(replica, extraction_id)
    assert [type(event.event) for event in seen] == [Accepted, Refused, Committed, Completed]
    assert seen[1].event == Refused(refusal)
    assert (await replica.extractions.get(SARAH, extraction_id)).refusals == (refusal,)


async def test_a_conversation_with_more_than_a_record_takes_is_learned_whole(replica: Replica) -> None:
    replica.worker.start()
    texts = [f"I like number {number}" for number in range(700)]
    run_messages = [Message(Role.USER, (TextPart(text),)) for text in texts]
    extraction_id = await replica.extractions.accept_messages(SARAH, run_messages, 20_000, "", "", None)
    extraction, _ = await replica.extractions.wait(SARAH, extraction_id, 20)
    assert (extraction.state, extraction.change_count) == (ExtractionState.SUCCEEDED, 700)
    assert await replica.texts() == sorted(texts)


async def test_all_that_waits_for_a_model_is_tried_as_soon_as_it_answers_again(make_replica: MakeReplica) -> None:
    replica = make_replica(retry_seconds=3_600.0, max_retry_seconds=3_600.0, quiet_seconds=0)
    rejected = Retryable(Reason.MODEL_REJECTED, "401", counts=False)
    replica.engine.failures = [rejected] * 5
    replica.worker.start()
    receipts = [await replica.say(f"I like {n}", session_id=f"s{n}") for n in range(5)]
    while replica.worker.troubles.waiting() != Trouble(5, Reason.MODEL_REJECTED):
        await asyncio.sleep(0.01)
    mended = await replica.say("I ski", session_id="s9")
    for receipt in (*receipts, mended):
        extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
        assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)
    assert replica.worker.troubles.waiting() == Trouble()


async def test_a_user_with_much_to_learn_gives_way_to_others(make_replica: MakeReplica) -> None:
    replica = make_replica(extraction_concurrency=1)
    for number in range(20):
        await replica.say(f"I like {number}", session_id=f"s{number}")
    other = Scope("default", "bob")
    run = Run(session_id="s1", run_id=new_id(), index=0, messages=(Message(Role.USER, (TextPart("I sail"),)),))
    command = AppendRunCommand(run, 6, LearningMode.AUTOMATIC, Quiet(0.0, 0.0), new_id())
    receipt = await replica.sessions.append(other, command)
    replica.worker.start()
    await replica.extractions.wait(other, receipt.extraction_id, 10)
    read = [message.text for call in replica.engine.calls for message in call.messages]
    assert read.index("I sail") <= 2


async def test_one_look_finds_work_for_many_turns(make_replica: MakeReplica, monkeypatch: pytest.MonkeyPatch) -> None:
    # A look for each user who has been served would ask the database for all who wait, again and again.
    replica = make_replica(extraction_concurrency=2, poll_seconds=3_600.0)
    accepted = []
    for number in range(40):
        scope = Scope("default", f"user-{number}")
        message = Message(Role.USER, (TextPart(f"I like {number}"),))
        accepted.append((scope, await replica.extractions.accept_messages(scope, [message], 9, "", "", None)))
    looks = 0
    due = replica.driver.due

    async def counted(before: int, limit: int) -> Any:
        nonlocal looks
        looks += 1
        return await due(before, limit)

    monkeypatch.setattr(replica.driver, "due", counted)
    replica.worker.start()
    for scope, extraction_id in accepted:
        extraction, _ = await replica.extractions.wait(scope, extraction_id, 30)
        assert extraction.state is ExtractionState.SUCCEEDED
    assert looks < 10


async def test_what_failed_and_what_waits_is_counted_by_its_commonest_reason(make_replica: MakeReplica) -> None:
    replica = make_replica(retry_seconds=3_600.0, max_retry_seconds=3_600.0)
    refused = Permanent(Reason.MODEL_REFUSED, "refused")
    rejected = Retryable(Reason.MODEL_REJECTED, "401", counts=False)
    replica.engine.failures = [refused, refused, Permanent(Reason.MODEL_REJECTED, "400"), rejected]
    replica.worker.start()
    for number in range(4):
        receipt = await replica.say(f"I like {number}", session_id=f"s{number}")
        while not (await replica.extractions.get(SARAH, receipt.extraction_id)).reason:
            await asyncio.sleep(0.01)
    administration = Administration(replica.users, replica.writer)
    stats = await administration.stats(SARAH)
    assert (stats.failed, stats.waiting) == (Trouble(3, Reason.MODEL_REFUSED), Trouble(1, Reason.MODEL_REJECTED))
    assert replica.worker.troubles.failed() == stats.failed

    assert await replica.extractions.retry_all("default", "", 10.0) == (3, "")
    assert (await administration.stats(SARAH)).failed == Trouble()
    assert await replica.extractions.retry_all("default", "", 10.0) == (0, "")


async def test_a_retry_of_everybody_goes_on_where_its_time_was_over(make_replica: MakeReplica) -> None:
    replica = make_replica()
    users = [Scope("default", f"user-{number}") for number in range(5)]
    for scope in users:
        run = Run(session_id="s1", run_id=new_id(), index=0, messages=(Message(Role.USER, (TextPart("I sail"),)),))
        command = AppendRunCommand(run, 6, LearningMode.AUTOMATIC, Quiet(0.0, 0.0), new_id())
        receipt = await replica.sessions.append(scope, command)
        claimed = await replica.writer.write(scope, ClaimCommand("w", 0, 30.0, LIMITS))
        assert claimed is not None
        await replica.writer.write(
            scope, PostponeCommand(claimed.claim, Reason.MODEL_REFUSED, "", Usage(), 0.0, True, True, LIMITS)
        )
        assert (await replica.extractions.get(scope, receipt.extraction_id)).state is ExtractionState.FAILED
    counts, token = [], ""
    while True:
        count, token = await replica.extractions.retry_all("default", token, -1.0)
        counts.append(count)
        if not token:
            break
    assert (sum(counts), max(counts)) == (5, 1)


async def test_long_conversations_leave_room_for_short_ones(make_replica: MakeReplica) -> None:
    replica = make_replica(extraction_concurrency=4)
    replica.engine.gate.clear()
    long = Message(Role.USER, (TextPart("I like tea. " * 20_000),))
    for number in range(6):
        scope = Scope("default", f"long-{number}")
        await replica.extractions.accept_messages(scope, [long], 240_000, "", "", None)
    replica.worker.start()
    while len(replica.engine.calls) < 2:
        await asyncio.sleep(0.01)
    short = Scope("default", "short")
    extraction_id = await replica.extractions.accept_messages(
        short, [Message(Role.USER, (TextPart("I ski"),))], 5, "", "", None
    )
    while not any(call.messages[0].text == "I ski" for call in replica.engine.calls):
        await asyncio.sleep(0.01)
    assert sum(call.messages[0].text != "I ski" for call in replica.engine.calls) == 2
    replica.engine.gate.set()
    extraction, _ = await replica.extractions.wait(short, extraction_id, 10)
    assert (extraction.state, extraction.attempt) == (ExtractionState.SUCCEEDED, 1)
