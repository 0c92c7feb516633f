"""Reading the configuration of a namespace from RAM, as fresh as users are read, and what of it is in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

from msgspec import structs

from memsvc.configuration import NOTHING, Configured, GivenSettings, read
from memsvc.errors import Error
from memsvc.journal.past import Walk
from memsvc.journal.state import State
from memsvc.log import Log
from memsvc.model import Extraction, Scope
from memsvc.settings.resolved import DEFAULT_SETTINGS, MemorySettings, overlaid, resolved
from memsvc.storage.driver import Driver
from memsvc.users import LATEST, Consistency, HotUser, Users

log = Log(__name__)

_CACHE_KEY: Final = "settings"
_LOOK_AGAIN_SECONDS: Final = 1.0
"""Where a revision of the user is asked for, the configuration may be as old as this; what is older is read anew
meanwhile."""


class ReadSettings(NamedTuple):
    """The settings of a namespace, and when they were known to be the latest."""

    settings: NamespaceSettings
    time: int
    """Microseconds since the epoch, by the server's clock."""


class NamespaceSettings:
    """The configuration of a namespace at one revision: what is in force for each of its agents."""

    __slots__ = ("_agents", "_configs", "_own", "_server", "revision")

    def __init__(self, configs: Mapping[str, Configured], revision: int, server: MemorySettings) -> None:
        """`configs` are by agent; that of "" is the namespace's own."""
        self.revision = revision
        self._configs = configs
        self._server = server
        self._own = resolved(self._given(""), server, revision=revision)
        self._agents: dict[str, MemorySettings] = {}
        """Of agents that have a configuration of their own."""

    def of(self, agent_id: str = "", overrides: GivenSettings = NOTHING) -> MemorySettings:
        """Return what is in force for an agent and for a request that brings `overrides`."""
        if overrides is not NOTHING and not overrides.empty:
            return resolved(self.given(agent_id, overrides), self._server, revision=self.revision)
        if not agent_id or agent_id not in self._configs:
            return self._own
        settings = self._agents.get(agent_id)
        if settings is None:
            settings = resolved(self.given(agent_id), self._server, revision=self.revision)
            self._agents[agent_id] = settings
        return settings

    def given(self, agent_id: str = "", overrides: GivenSettings = NOTHING) -> GivenSettings:
        """Return what request, agent and namespace say together."""
        return overlaid(overrides, self._given(agent_id) if agent_id else NOTHING, self._given(""))

    def configured(self, agent_id: str = "") -> Configured:
        """Return what is configured of the namespace itself, or of an agent."""
        return self._configs.get(agent_id, Configured(agent_id=agent_id))

    def with_configured(self, configured: Configured) -> NamespaceSettings:
        """Return what would be in force with another configuration of the namespace, or of an agent."""
        revision = max(self.revision, configured.revision)
        return NamespaceSettings({**self._configs, configured.agent_id: configured}, revision, self._server)

    def _given(self, agent_id: str) -> GivenSettings:
        configured = self._configs.get(agent_id)
        return configured.given if configured is not None else NOTHING


class SettingsReader:
    """Answers what is in force. One for a process."""

    def __init__(self, users: Users, server: MemorySettings = DEFAULT_SETTINGS) -> None:
        self._users = users
        self._server = server
        self._looking: dict[Scope, asyncio.Task[None]] = {}

    async def in_force(
        self,
        scope: Scope,
        agent_id: str = "",
        overrides: GivenSettings = NOTHING,
        consistency: Consistency = LATEST,
    ) -> MemorySettings:
        """Return the settings in force for this scope and agent, and for a request that brings these overrides.

        Raises StorageUnavailable as reads of users do.
        """
        return (await self.of(scope.namespace, consistency)).of(agent_id, overrides)

    async def of(self, namespace: str, consistency: Consistency = LATEST) -> NamespaceSettings:
        """Return the settings of a namespace, as fresh as asked.

        A past has the settings of now. Who asks for a revision, which is one of a user, gets what is known here of the
        configuration, be the database there or not.
        """
        scope = Scope(namespace, "")
        if consistency.at_least_revision:
            hot = self._users.hot(scope)
            if hot is not None:
                self._look_again(scope, hot)
                return self._settings(hot)
        freshness = consistency if consistency.max_staleness_seconds else LATEST
        return self._settings(await self._users.read(scope, freshness))

    async def read(self, namespace: str, consistency: Consistency = LATEST) -> ReadSettings:
        """Return the settings of a namespace; a revision asked for is that of its configuration.

        Raises as `Users.read` does.
        """
        hot = await self._users.read(Scope(namespace, ""), consistency)
        return ReadSettings(self._settings(hot), hot.checked_time)

    async def of_extraction(self, namespace: str, extraction: Extraction) -> MemorySettings:
        """Return the settings that an extraction was accepted under, be they others by now."""
        overrides = read(extraction.overrides)
        if not extraction.settings_digest:
            return structs.replace(self._server, config_revision=extraction.config_revision)
        now = await self.of(namespace)
        accepted = now.of(extraction.agent_id, overrides)
        if accepted.learning_digest != extraction.settings_digest:
            state = (await self._users.latest(Scope(namespace, ""))).state
            configs = await configs_at(self._users.driver, state, extraction.config_revision)
            then = NamespaceSettings(configs, extraction.config_revision, self._server)
            accepted = then.of(extraction.agent_id, overrides)
        return structs.replace(accepted, config_revision=extraction.config_revision)

    async def with_user(self, scope: Scope, consistency: Consistency = LATEST) -> tuple[HotUser, NamespaceSettings]:
        """Return a user and the settings of its namespace: one question to the database for both."""
        if consistency is LATEST:
            user, namespace = await self._users.latest_both(scope, Scope(scope.namespace, ""))
            return user, self._settings(namespace)
        return await self._users.read(scope, consistency), await self.of(scope.namespace, consistency)

    def _settings(self, hot: HotUser) -> NamespaceSettings:
        known = hot.cache.get(_CACHE_KEY)
        if not isinstance(known, NamespaceSettings):
            known = NamespaceSettings(hot.state.core.configs, hot.revision, self._server)
            hot.cache[_CACHE_KEY] = known
        return known

    def _look_again(self, scope: Scope, hot: HotUser) -> None:
        if scope in self._looking or time.monotonic() - hot.checked < _LOOK_AGAIN_SECONDS:
            return
        task = self._looking[scope] = asyncio.create_task(self._look(scope))
        task.add_done_callback(lambda _: self._looking.pop(scope, None))

    async def _look(self, scope: Scope) -> None:
        try:
            await self._users.latest(scope)
        except Error as error:
            log.warning("read_settings_failed", namespace=scope.namespace, reason=error.reason)


async def configs_at(driver: Driver, state: State, revision: int) -> Mapping[str, Configured]:
    """Return what was configured, by agent, at a revision of a namespace: what came since is undone, newest first.

    What is no longer kept of the journal cannot be undone: it is as it was at the oldest record.
    """
    configs = dict(state.core.configs)
    async with aclosing(Walk(driver, state).records()) as records:
        async for _, body in records:
            if body.revision <= revision:
                break
            if body.configured is None:
                continue
            if body.configured_before is None:
                configs.pop(body.configured.agent_id, None)
            else:
                configs[body.configured.agent_id] = body.configured_before
    return configs
