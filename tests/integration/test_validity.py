"""Facts in time, through a server of its own: since when they are so, what they were before, and that it can go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsvc_client import InvalidArgument, Layer, Memory, MemoryClient, User


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validity")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[MemoryClient]:
    with MemoryClient.local(folder / "memory.db", engine="rules", embedder="none") as client:
        yield client


@pytest.fixture
def sarah(client: MemoryClient, request: pytest.FixtureRequest) -> User:
    return client.user(f"sarah-{request.node.name}"[:200])


def tell(user: User, text: str, *at: int) -> None:
    user.learn([{"role": "user", "content": text, "time": day(*at)}])


def day(*at: int) -> datetime:
    return datetime(*at, tzinfo=UTC)  # type: ignore[arg-type,misc]


def at_place(user: User, key: str, time: datetime | None = None) -> Memory | None:
    wanted = user.memories.list(filter={"key_path": key, **({"valid_at": time} if time else {})})
    return next(iter(wanted), None)


@pytest.mark.parametrize(
    ("said", "on", "key", "since"),
    [
        ("I moved to Berlin in March", (2026, 5, 8), "location", (2026, 3, 1)),
        ("I've been vegan since 2018.", (2026, 5, 8), "diet", (2018, 1, 1)),
        ("I started working at Siemens last month", (2026, 1, 8), "company", (2025, 12, 1)),
        ("I got married two years ago", (2026, 5, 8), "marital_status", (2024, 1, 1)),
        ("We have lived in Oslo since June 2020", (2026, 5, 8), "location", (2020, 6, 1)),
    ],
)
def test_a_fact_has_since_when_it_is_so_from_the_time_of_its_message(
    sarah: User, said: str, on: tuple[int, ...], key: str, since: tuple[int, ...]
) -> None:
    tell(sarah, said, *on)
    memory = at_place(sarah, key)
    assert memory is not None
    assert memory.valid_from == day(*since)


def test_what_was_so_before_is_kept_and_seen_at_its_time(sarah: User) -> None:
    tell(sarah, "I live in Rome", 2024, 1, 5)
    tell(sarah, "I moved to Oslo in March", 2025, 5, 8)
    tell(sarah, "I moved to Lisbon yesterday", 2026, 6, 2)

    now, then, before = (at_place(sarah, "location", each) for each in (None, day(2025, 6, 1), day(2025, 2, 1)))
    assert now is not None
    assert then is not None
    assert before is not None
    assert (now.value, then.value, before.value) == ("Lisbon", "Oslo", "Rome")
    assert (before.valid_to, then.valid_from, then.valid_to) == (day(2025, 3, 1), day(2025, 3, 1), day(2026, 6, 1))
    assert (before.superseded, before.successor_id, now.superseded) == (True, now.memory_id, False)
    assert [each.memory for each in sarah.memories.search("Where in Rome?", method="lexical")] == []
    found = sarah.memories.search("Rome", filter={"valid_at": day(2025, 2, 1)})
    assert [each.memory for each in found] == ["Lives in Rome"]
    assert "Rome" not in sarah.context().text
    assert "Rome (until 2025-02)" in sarah.context(filter={"valid_at": day(2025, 2, 1)}).text
    everything = sarah.memories.list(filter={"include_superseded": True, "key_path": "location"})
    assert {each.value for each in everything} == {"Rome", "Oslo", "Lisbon"}


@pytest.mark.parametrize(
    ("form", "shown"), [("xml", "location: Oslo (since 2025-03)"), ("json", "Oslo (since 2025-03)")]
)
def test_a_dated_fact_is_shown_with_its_date(sarah: User, form: str, shown: str) -> None:
    tell(sarah, "I moved to Oslo in March", 2025, 5, 8)
    sarah.memories.add("Worked on Apollo", valid_from=day(2015, 1, 1), valid_to=day(2020, 1, 1))
    text = sarah.context(format=form).text
    assert shown in text
    assert "Worked on Apollo (2015 to 2019)" in text


def test_what_is_over_is_a_fact_of_the_past_and_what_was_to_be_forgotten_is_gone(sarah: User) -> None:
    tell(sarah, "I work at Siemens", 2025, 1, 5)
    tell(sarah, "I quit my job last week", 2026, 5, 13)
    assert at_place(sarah, "company") is None
    over = at_place(sarah, "company", day(2026, 1, 1))
    assert over is not None
    assert (over.memory, over.valid_to) == ("Works at Siemens", day(2026, 5, 5))

    tell(sarah, "Forget my job", 2026, 5, 20)
    assert at_place(sarah, "company", day(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("said", "fact", "since", "until"),
    [
        ("I worked at Siemens until March.", "Worked at Siemens", None, (2026, 4, 1)),
        ("I worked at Siemens from March 2019 to June 2021.", "Worked at Siemens", (2019, 3, 1), (2021, 7, 1)),
        ("I was a nurse from 2019 to 2021", "Worked as a nurse", (2019, 1, 1), (2022, 1, 1)),
        ("We lived in Oslo until last year", "Lived in Oslo", None, (2026, 1, 1)),
    ],
)
def test_a_span_that_is_over_is_a_fact_with_its_dates(
    sarah: User, said: str, fact: str, since: tuple[int, ...] | None, until: tuple[int, ...]
) -> None:
    tell(sarah, said, 2026, 5, 8)
    (memory,) = sarah.memories.list()
    assert (memory.memory, memory.key) == (fact, "")
    assert (memory.valid_from, memory.valid_to) == (day(*since) if since else None, day(*until))


def test_an_undo_takes_back_what_was_kept(sarah: User) -> None:
    tell(sarah, "I live in Rome", 2024, 1, 5)
    tell(sarah, "I moved to Oslo in March", 2025, 5, 8)
    sarah.memories.undo()
    assert [each.value for each in sarah.memories.list(filter={"include_superseded": True})] == ["Rome"]


def test_a_purge_reaches_what_was_so_before_in_every_file(sarah: User, folder: Path) -> None:
    tell(sarah, "I live in Timbuktu", 2024, 1, 5)
    tell(sarah, "I moved to Oslo in March", 2025, 5, 8)
    memory = at_place(sarah, "location")
    assert memory is not None
    sarah.memories.delete(memory.memory_id, purge=True)
    assert list(sarah.memories.list(filter={"include_superseded": True, "key_path": "location"})) == []
    for name, content in ((path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()):
        assert b"Timbuktu" not in content, name


def test_a_validity_that_ends_before_it_begins_is_refused(sarah: User) -> None:
    with pytest.raises(InvalidArgument):
        sarah.memories.add("Never so", valid_from=day(2020, 1, 1), valid_to=day(2019, 1, 1))
    long_ago = sarah.memories.add("Grandmother was born", valid_from=day(1931, 4, 2), layer=Layer.KNOWLEDGE)
    assert sarah.memories.get(long_ago).valid_from == day(1931, 4, 2)
