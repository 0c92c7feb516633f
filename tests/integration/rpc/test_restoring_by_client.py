"""The Python client undoes, restores and reads the past, blocking and for asyncio."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rpc_harness import Harness

from memsvc_client import AlreadyExists, AsyncMemoryClient, ChangeCause, Consistency, MemoryClient, OutOfRange


async def test_undo_restore_and_the_past_for_asyncio(each_server: Harness, folder: Path) -> None:
    async with AsyncMemoryClient(f"unix://{folder}/s") as client:
        user = client.user("sarah")
        skis = await user.memories.add("Skis", layer="profile", key="sport")
        await user.memories.delete(skis)

        undone = await user.memories.undo()
        assert [(each.cause, each.after and each.after.memory) for each in undone.changes] == [
            (ChangeCause.RESTORED, "Skis")
        ]
        await user.memories.update(skis, text="Sails")
        would = await user.memories.restore(undone.revision, all=True, validate_only=True)
        assert (would.revision, len(would.changes), would.purged_memory_ids) == (0, 1, ())
        await user.memories.restore(undone.revision, [skis])
        assert (await user.memories.get(skis)).memory == "Skis"
        before = Consistency(as_of_revision=undone.revision + 1)
        assert [each.memory async for each in user.memories.list(consistency=before)] == ["Sails"]
        assert (await user.memories.get(skis, consistency=before)).memory == "Sails"
        assert undone.time is not None
        document = await user.get(consistency=Consistency(as_of_time=undone.time))
        assert document is not None
        assert document.profile == {"sport": "Skis"}
        assert "Sails" in (await user.context(consistency=before)).text
        await user.erase()
        with pytest.raises(OutOfRange):
            await user.memories.restore(1, all=True)


async def test_undo_restore_and_the_past_in_threads(each_server: Harness, folder: Path) -> None:
    def use() -> None:
        with MemoryClient(f"unix://{folder}/s") as client:
            user = client.user("sarah")
            chef = user.memories.add("Chef", layer="profile", key="role")
            gone = user.memories.delete(chef)
            baker = user.memories.add("Baker", layer="profile", key="role")
            with pytest.raises(AlreadyExists) as taken:
                user.memories.undo(gone)
            assert taken.value.metadata["memory_id"] == baker
            assert [each.memory for each in user.memories.list(consistency=Consistency(as_of_revision=1))] == ["Chef"]
            user.memories.restore(1, all=True)
            assert [each.memory for each in user.memories.list()] == ["Chef"]
            for wrong in ({}, {"memory_ids": [chef], "all": True}):
                with pytest.raises(ValueError, match="restore takes"):
                    user.memories.restore(1, **wrong)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="revision"):
                user.memories.undo(0)

    await asyncio.to_thread(use)
