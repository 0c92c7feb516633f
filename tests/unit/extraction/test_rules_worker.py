"""What becomes of the rules engine's operations in a user's memory: committed, refused aloud, or shrunk."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from replica import SARAH, MakeReplica, Parrot, Replica

from memsvc.errors import Reason
from memsvc.extraction.conversation import KNOWN_MEMORIES
from memsvc.extraction.engine import Action, Conversation, EngineEvent, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.extraction.rules.facts import FactReader
from memsvc.model import Extraction, ExtractionState, Layer


@pytest.fixture
async def replica(make_replica: MakeReplica) -> Replica:
    made = make_replica()
    made.worker.attempts.engine = RulesEngine()
    made.worker.start()
    return made


async def learn(replica: Replica, *texts: str) -> Extraction:
    """Say each text in a run of its own; return the last extraction as it ended."""
    for text in texts:
        receipt = await replica.say(text)
        extraction, _ = await replica.extractions.wait(SARAH, receipt.extraction_id, 20)
        assert extraction.state is ExtractionState.SUCCEEDED
    return extraction


async def test_forgetting_everything_is_refused_aloud_where_clearing_is_off(replica: Replica) -> None:
    extraction = await learn(replica, "I live in Rome. I love sushi.", "Forget everything you know about me.")
    assert await replica.texts() == ["Likes sushi", "Lives in Rome"]
    assert [refusal.reason for refusal in extraction.refusals] == [Reason.OPERATION_FORBIDDEN]


async def test_a_list_shrinks_and_grows_in_memory(replica: Replica) -> None:
    await learn(replica, "I speak French and German.", "I have a dog named Rex and two cats.")
    await learn(replica, "I no longer speak French.", "Rex died.", "I speak Dutch too.")
    profile = (await replica.users.latest(SARAH)).layer(Layer.PROFILE)
    values = {memory.key: (memory.value_json, memory.text) for memory in profile.values()}
    assert values == {
        "languages": ('["German", "Dutch"]', "Speaks German, Dutch"),
        "pets": ('["two cats"]', "Has two cats"),
    }


async def test_what_ends_is_deleted_and_what_replaces_it_kept(replica: Replica) -> None:
    await learn(replica, "I work at Acme. I live in Berlin. I'm vegan.")
    await learn(replica, "I left Acme.", "Actually I eat meat now.", "Sorry, I meant Munich not Berlin.")
    assert await replica.texts() == ["Left Acme", "Lives in Munich"]


async def test_what_was_just_said_is_forgotten(replica: Replica) -> None:
    await learn(replica, "I live in Rome.", "I love sushi.", "forget that")
    assert await replica.texts() == ["Lives in Rome"]


async def test_a_sentence_that_fails_costs_no_other(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FactReader.facts

    def broken(reader: FactReader, clause: object, *arguments: object, **named: object) -> object:
        if "paris" in clause.words:  # type: ignore[attr-defined]
            raise IndexError("list index out of range")
        return whole(reader, clause, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FactReader, "facts", broken)
    await learn(replica, "I love sushi. I live in Paris. I have two dogs.")
    assert await replica.texts() == ["Has two dogs", "Likes sushi"]


async def test_whatever_is_said_the_users_time_zone_is_known(make_replica: MakeReplica) -> None:
    class Knowing(Parrot):
        """Learns a time zone, and more about hiking than an engine is shown."""

        async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
            self.calls.append(conversation)
            zone = Operation(
                action=Action.ADD, layer=Layer.PROFILE, key="timezone", value_json='"Asia/Tokyo"', text="Lives by JST"
            )
            hikes = [
                Operation(action=Action.ADD, layer=Layer.PROFILE, text=f"Went hiking on trail {number}")
                for number in range(60)
            ]
            yield Finished(([zone], hikes, ())[len(self.calls) - 1])

    replica, engine = make_replica(), Knowing()
    replica.worker.attempts.engine = engine
    replica.worker.start()
    receipt = await replica.say("I live by JST.", session_id="s0")
    await replica.extractions.wait(SARAH, receipt.extraction_id, 20)
    await learn(replica, "I went hiking.", "I went hiking on a trail, and hiking again.")
    assert "timezone" in {memory.key for memory in engine.calls[-1].known}
    assert len(engine.calls[-1].known) <= KNOWN_MEMORIES + 1
