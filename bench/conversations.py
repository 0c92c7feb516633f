"""Conversations with questions about them, a file each: `bench/corpus/conversations`, and `friends`, two who chat.

    @ 2026-01-18 18:05                                   a session begins
    u#greyhound Big news: we took in a rescue greyhound!  the user says something that a question asks for
    a Congratulations!                                    the assistant
    nora#freeze ...                                       somebody by name
    ? paraphrase greyhound | Which pet did they get?      a question: its kind, what holds the answer, its words
    ? several comet,river | What do we know of the dog?

Kinds: fact, date (asks by it), when (asks for it), who (said it), paraphrase (no word of it is in the answer, or none
that tells), language (others than English), several (turns hold it), guess (from what the turns say). All conversations
together are one user's: the answer is one turn among all of them, and those of friends among the others' too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from memsvc.model import Memory, Message, Origin, Role, Run, TextPart
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.search.history import HistoryIndex
from memsvc.search.said import said_in
from memsvc.search.text import shared_analyzer

CORPUS = Path(__file__).parent / "corpus"
_LINE = re.compile(r"(\w+)(?:#(\w+))? (.+)")
_QUESTION = re.compile(r"\? (\w+) ([\w,]+) \| (.+)")
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody said."""

    turn_id: str
    session_id: str
    role: Role
    author: str
    """Empty: the user, or the assistant."""
    text: str
    time: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the turns that hold its answer."""

    kind: str
    turn_ids: tuple[str, ...]
    text: str


@cache
def read_conversations(folder: str = "conversations") -> tuple[Sequence[Turn], Sequence[Question]]:
    """Return all turns in the order of the files, and all questions."""
    turns: list[Turn] = []
    questions: list[Question] = []
    for file in sorted((CORPUS / folder).glob("*.txt")):
        session_id, time = "", 0
        for line in file.read_text(encoding="utf-8").splitlines():
            if question := _QUESTION.fullmatch(line):
                holding = tuple(f"{file.stem}/{name}" for name in question[2].split(","))
                questions.append(Question(question[1], holding, question[3]))
            elif line.startswith("@ "):
                begun = datetime.strptime(line[2:], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
                session_id, time = f"{file.stem} {line[2:]}", int(begun.timestamp()) * _SECOND
            elif said := _LINE.fullmatch(line):
                role = Role.ASSISTANT if said[1] == "a" else Role.USER
                author = "" if said[1] in ("a", "u") else said[1]
                name = f"{file.stem}/{said[2] or len(turns)}"
                turns.append(Turn(name, session_id, role, author, said[3], time))
                time += 30 * _SECOND
            elif line:
                raise ValueError(f"{file.name}: {line}")
    return turns, questions


def memories() -> list[Memory]:
    """Return what users said, each turn as a memory."""
    turns, _ = read_conversations()
    said = (turn for turn in turns if turn.role is Role.USER)
    return [
        Memory(
            memory_id=turn.turn_id,
            number=number,
            text=turn.text,
            origin=Origin(session_id=turn.session_id, author_id=turn.author),
            observe_time=turn.time,
            update_time=turn.time,
        )
        for number, turn in enumerate(said, 1)
    ]


def history(*folders: str) -> HistoryIndex:
    """Return the index of all that was said in some folders, each turn a run of its own."""
    turns = [turn for folder in folders for turn in read_conversations(folder)[0]]
    embedder = StaticEmbedder()
    index = HistoryIndex(embedder.name)
    runs = (
        Run(
            session_id=turn.session_id,
            run_id=turn.turn_id,
            index=number,
            messages=(Message(turn.role, (TextPart(turn.text),), author_id=turn.author, time=turn.time),),
        )
        for number, turn in enumerate(turns, 1)
    )
    index.add_all([(run.run_id, run.index, said_in(run, shared_analyzer, embedder)) for run in runs])
    return index
