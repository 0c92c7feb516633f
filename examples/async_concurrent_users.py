"""One process, many users at once: with asyncio each has conversations of their own, and none waits for another."""

import asyncio

from memsvc_client import AsyncMemoryClient, AsyncUser

CITIES = ["Oslo", "Lisbon", "Nairobi", "Lima", "Hanoi", "Turin", "Quito", "Cork"]


async def converse(user: AsyncUser, city: str) -> str:
    """Two sessions of one user; returns the context that the next one would begin with."""
    await user.erase()
    await user.append_run("first", [("user", f"I live in {city}."), ("assistant", "A fine place!")])
    await user.append_run("second", [("user", "I really like chess."), ("assistant", "Who doesn't?")])
    return (await user.context(wait=30)).text


async def main() -> None:
    async with AsyncMemoryClient.local("tmp/async_concurrent_users.db") as client:
        users = [client.user(f"user-{number}") for number in range(len(CITIES))]
        contexts = await asyncio.gather(*(converse(user, city) for user, city in zip(users, CITIES, strict=True)))
        for context, city in zip(contexts, CITIES, strict=True):
            assert city in context
            assert "chess" in context
            assert not any(other in context for other in CITIES if other != city)
        assert {user.user_id for user in users} <= {user_id async for user_id in client.users()}
        print(contexts[0])


if __name__ == "__main__":
    asyncio.run(main())
