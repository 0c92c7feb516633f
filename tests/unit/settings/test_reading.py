"""Settings are read as users are: fresh on every replica, with one question, and from RAM where that is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from memsvc.configuration import GivenLayer, GivenSettings
from memsvc.errors import StorageUnavailable
from memsvc.model import Extraction, Layer, LearningMode, Scope
from memsvc.settings import SettingsReader
from memsvc.settings.accepting import Terms
from memsvc.settings.reading import configs_at
from memsvc.settings.updating import ConfigWriter, UpdateConfig
from memsvc.storage.driver import Driver, Tip
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Consistency, Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


class Network:
    """A driver over a network: its tips cost a round trip; and it can be away."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.asked: list[Sequence[Scope]] = []
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def capabilities(self) -> Any:
        return replace(self._driver.capabilities(), tips_cost_nothing=False)

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        self.asked.append(list(scopes))
        if self.away:
            raise StorageUnavailable("database is away")
        return await self._driver.tips(scopes)


class Replica:
    """One process on the database."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.users = Users(driver)
        self.writer = Writer(self.users)
        self.reader = SettingsReader(self.users)

    async def configure(self, agent_id: str = "", **given: Any) -> None:
        command = UpdateConfig(agent_id, GivenSettings(**given), None)
        await ConfigWriter(self.users, self.writer).update("default", command)


@pytest.fixture
async def driver() -> AsyncIterator[Network]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield Network(driver)
    await driver.close()


async def test_a_change_is_seen_at_once_by_every_replica(driver: Network) -> None:
    first, second = Replica(driver), Replica(driver)
    for mode in (*LearningMode, *LearningMode):
        await first.configure(mode=mode)
        for replica in (second, first):
            assert (await replica.reader.with_user(SARAH))[1].of().mode is mode
        await first.configure(mode=LearningMode.OFF)
        assert (await second.reader.in_force(SARAH)).mode is LearningMode.OFF
        await second.configure("coder", mode=LearningMode.OFF)
        assert (await first.reader.in_force(SARAH, "coder")).mode is LearningMode.OFF


async def test_a_user_and_its_settings_are_one_question(driver: Network) -> None:
    replica = Replica(driver)
    await replica.reader.with_user(SARAH)
    driver.asked.clear()
    await replica.reader.with_user(SARAH)
    await asyncio.gather(*(replica.reader.with_user(SARAH) for _ in range(10)))
    assert [sorted(scopes) for scopes in driver.asked] == [[Scope("default", ""), SARAH]] * 2


async def test_a_read_that_ram_can_answer_needs_no_database_for_its_settings(driver: Network) -> None:
    replica = Replica(driver)
    await replica.configure(mode=LearningMode.BOTH)
    await replica.reader.with_user(SARAH)
    driver.away = True
    for consistency in (Consistency(at_least_revision=0, max_staleness_seconds=60.0),):
        user, settings = await replica.reader.with_user(SARAH, consistency)
        assert (user.revision, settings.of().mode) == (0, LearningMode.BOTH)
    settings = await replica.reader.of("default", Consistency(at_least_revision=5))
    assert settings.of().mode is LearningMode.BOTH
    with pytest.raises(StorageUnavailable):
        await replica.reader.with_user(SARAH)


async def test_an_extraction_finds_what_it_was_accepted_under(driver: Network) -> None:
    replica, other = Replica(driver), Replica(driver)
    accepted: list[tuple[Extraction, tuple[str, bool]]] = []
    for number in range(6):
        layers = {Layer.PROFILE: GivenLayer(prompt=f"p{number}")}
        await replica.configure(layers=layers)
        await replica.configure("coder", layers={Layer.PROFILE: GivenLayer(learned=number % 2 == 0)})
        settings = await replica.reader.in_force(SARAH, "coder")
        extraction = Terms.of(settings).put_on(Extraction(extraction_id=str(number), agent_id="coder"))
        accepted.append((extraction, (f"p{number}", number % 2 == 0)))
    await replica.configure()
    for reader in (replica.reader, other.reader):
        for extraction, (prompt, learned) in accepted:
            settings = await reader.of_extraction("default", extraction)
            profile = settings.layers[Layer.PROFILE]
            assert (profile.prompt, profile.learned) == (prompt, learned)
            assert settings.config_revision == extraction.config_revision


async def test_what_was_configured_at_each_revision_is_read_back(driver: Network) -> None:
    replica = Replica(driver)
    scope = Scope("default", "")
    seen = [dict((await replica.users.latest(scope)).state.core.configs)]
    for number in range(20):
        await replica.configure("" if number % 3 else "coder", capture_instructions=str(number))
        seen.append(dict((await replica.users.latest(scope)).state.core.configs))
    state = (await replica.users.latest(scope)).state
    for revision, configs in enumerate(seen):
        assert await configs_at(driver, state, revision) == configs  # type: ignore[arg-type]
