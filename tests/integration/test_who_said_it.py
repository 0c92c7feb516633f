"""What was said is found by who said it, through a server of its own with an embedder."""

from __future__ import annotations

from pathlib import Path

from memsvc_client import MemoryClient

CHAT = (
    ("dana", "Miguel, we adopted a greyhound yesterday!"),
    ("miguel", "Dana! I have news too: my bike was stolen."),
    ("dana", "Oh no, Miguel, I am so sorry."),
    ("miguel", "Dana, never mind."),
)


def test_a_question_is_answered_by_what_those_said_whom_it_names(tmp_path: Path) -> None:
    with MemoryClient.local(tmp_path / "memory.db", engine="rules", embedder="static") as client:
        team = client.user("team:friends")
        messages = [{"role": "user", "content": text, "author_id": who} for who, text in CHAT]
        team.append_run("s1", messages, learning_mode="off")

        def first(query: str) -> str:
            return next(iter(team.search_history(query, limit=1))).message.text

        # No word but the name is shared, and the name is said by the other alone.
        assert first("Which pet does Dana have?") == CHAT[0][1]
        assert first("What vehicle did Miguel lose?") == CHAT[1][1]
