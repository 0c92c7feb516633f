"""Make graphiti.json with Graphiti's own edges: pip install graphiti-core==0.31.2."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from graphiti_core.edges import EntityEdge

HERE = Path(__file__).parent


def edge(number: int, fact: str, **more: object) -> EntityEdge:
    return EntityEdge(
        uuid=f"e-{number}",
        group_id="sarah",
        source_node_uuid="n-1",
        target_node_uuid=f"n-{number}",
        created_at=datetime(2025, 1, number, tzinfo=UTC),
        fact=fact,
        **more,
    )


def main() -> None:
    edges = [
        edge(
            1,
            "Sarah works at Acme",
            name="WORKS_AT",
            valid_at=datetime(2020, 1, 1, tzinfo=UTC),
            invalid_at=datetime(2024, 6, 1, tzinfo=UTC),
            expired_at=datetime(2025, 1, 5, tzinfo=UTC),
        ),
        edge(2, "Sarah works at Initech", name="WORKS_AT", valid_at=datetime(2024, 6, 1, tzinfo=UTC)),
        edge(3, "Sarah has a sister called Mia", name="HAS_SISTER"),
    ]
    shown = [each.model_dump(mode="json", exclude={"fact_embedding"}) for each in edges]
    (HERE / "graphiti.json").write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
