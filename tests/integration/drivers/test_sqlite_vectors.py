"""What is purged leaves no trace of what it meant, nor of what was said, in any file of the database."""

from __future__ import annotations

import base64
from pathlib import Path

from memsvc.access.allowance import Quotas
from memsvc.ids import new_id
from memsvc.meaning import Meaning
from memsvc.memories import Create, Delete, Guard, MemoryWriter, Target
from memsvc.model import LearningMode, Memory, Message, Role, Run, Scope, TextPart
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.postings import term_codes
from memsvc.sessions import AppendRunCommand, Quiet, Sessions
from memsvc.storage.driver import RowKind
from memsvc.storage.registry import connect
from memsvc.users import Users
from memsvc.writing.part import STORE_ALL
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
STATIC = StaticEmbedder()


def traces(folder: Path, wanted: bytes) -> list[str]:
    """Return the files that hold these bytes."""
    return [file.name for file in sorted(folder.iterdir()) if wanted in file.read_bytes()]


def as_stored(vector: bytes) -> bytes:
    """Return a part of a vector as its row has it, without the ends, which depend on what is beside it."""
    return base64.b64encode(vector)[8:200]


async def test_the_vector_of_a_purged_memory_is_in_no_file(tmp_path: Path) -> None:
    driver = connect(f"sqlite:///{tmp_path}/memory.db", {})
    await driver.open()
    users = Users(driver)
    writer = Writer(users, vectors=STORE_ALL)
    memories = MemoryWriter(users, writer, Quotas(100))
    texts = [f"Keeps secret number {number} in a drawer" for number in range(30)]
    known = [Memory(memory_id=text, number=0, text=text) for text in texts]
    await memories.write(SARAH, [Create(memory) for memory in known], Guard(), batch=True)
    await Meaning(users, writer, STATIC).serve(SARAH)
    rows = await driver.get(SARAH, RowKind.VECTOR, texts)
    stored = as_stored(STATIC.vector(texts[7]))
    assert stored in rows[texts[7]].body
    assert traces(tmp_path, stored)

    await memories.write(SARAH, [Delete(Target(texts[7]))], Guard(), purge_text=True)

    assert texts[7] not in await driver.get(SARAH, RowKind.VECTOR, texts)
    assert traces(tmp_path, stored) == []
    assert traces(tmp_path, as_stored(STATIC.vector(texts[8])))
    await driver.close()


async def test_what_a_purged_session_was_found_by_is_in_no_file(tmp_path: Path) -> None:
    driver = connect(f"sqlite:///{tmp_path}/memory.db", {})
    await driver.open()
    users = Users(driver)
    writer = Writer(users)
    sessions = Sessions(users, writer)
    for session_id, text in (("s1", "The combination is quicksilver marmalade"), ("s2", "Likes chamomile tea")):
        run = Run(session_id=session_id, run_id=new_id(), index=0, messages=(Message(Role.USER, (TextPart(text),)),))
        command = AppendRunCommand(run, 100, LearningMode.OFF, Quiet(0, 0), new_id(), embedder=STATIC)
        await sessions.append(SARAH, command)
    stored = as_stored(STATIC.vector("The combination is quicksilver marmalade"))
    terms = base64.b64encode(term_codes(["combin", "quicksilv", "marmalad"]))
    assert traces(tmp_path, stored)
    assert traces(tmp_path, terms)

    await sessions.delete(SARAH, "s1", None, forget_learned=True, purge_text=True, allow_missing=False)

    assert traces(tmp_path, stored) == []
    assert traces(tmp_path, terms) == []
    assert traces(tmp_path, as_stored(STATIC.vector("Likes chamomile tea")))
    await driver.close()
