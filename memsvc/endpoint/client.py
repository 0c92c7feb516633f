"""The client of an endpoint, made when it is first asked."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from memsvc.endpoint.failures import setup_failure

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an endpoint is, and how long it may be silent."""

    base_url: str
    api_key: str = field(repr=False)
    """Empty for endpoints that want none."""
    extra_headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float
    """Without a byte from the endpoint."""
    connect_timeout_seconds: float


class Endpoint:
    """One endpoint, for all tasks of a process."""

    def __init__(self, address: Address, user: str) -> None:
        """Raise ModuleNotFoundError where the openai package, which `user` needs, is not installed."""
        if importlib.util.find_spec("openai") is None:
            raise ModuleNotFoundError(f"the openai {user} needs the openai package: pip install 'memsvc[openai]'")
        self._address = address
        self._client: AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()

    async def connected(self) -> AsyncOpenAI:
        """Return the client. Raises ExtractionError where none can be made: see `setup_failure`."""
        async with self._connecting:
            if self._client is None:
                try:
                    # Loading the package takes the better part of a second: not on the event loop.
                    self._client = await asyncio.to_thread(_connect, self._address)
                except Exception as error:
                    raise setup_failure(error) from None
            return self._client

    async def close(self) -> None:
        """Close the connections, if there are any."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _connect(address: Address) -> AsyncOpenAI:
    import openai

    timeout = openai.Timeout(address.timeout_seconds, connect=address.connect_timeout_seconds)
    return openai.AsyncOpenAI(
        api_key=address.api_key or "unused",
        base_url=address.base_url,
        default_headers=address.extra_headers,
        timeout=timeout,
        max_retries=0,
        # The one that the library makes by itself closes itself once it is garbage, also one that was never made whole.
        http_client=openai.DefaultAsyncHttpxClient(timeout=timeout),
    )
