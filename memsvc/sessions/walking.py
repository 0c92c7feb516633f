"""Walking the runs of a user, or of one session, in the order of their index."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec.structs import replace

from memsvc.model import Run, decode
from memsvc.storage.driver import Driver, PageOf, Row

_MOST_ROWS = 50
"""Of a page: a run may have 2 MiB."""


async def walk_runs(driver: Driver, page: PageOf) -> AsyncGenerator[tuple[Run, Row], None]:
    """Yield runs with their rows, from `page` on, which says how many are probably wanted; replaced ones too."""
    while True:
        page = replace(page, limit=min(page.limit, _MOST_ROWS))
        rows = await driver.rows(page)
        for row in rows:
            yield decode(row.body, Run), row
        if len(rows) < page.limit:
            return
        edge = rows[-1].position
        page = replace(page, before=edge) if page.descending else replace(page, after=edge)
