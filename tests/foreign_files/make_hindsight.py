"""Make hindsight/ with the models of Hindsight's archive: pip install --no-deps hindsight-api-slim==1.1.0.

Only the two modules that say the form of an archive are loaded: the rest of the package wants a database and models.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def schema() -> Any:
    root = Path(importlib.util.find_spec("hindsight_api").submodule_search_locations[0])  # type: ignore[union-attr, index]
    for name in ("hs", "hs.engine", "hs.engine.transfer"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    for name, path in (("stored_dates", "engine/stored_dates.py"), ("transfer.schema", "engine/transfer/schema.py")):
        spec = importlib.util.spec_from_file_location(f"hs.engine.{name}", root / path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules["hs.engine.transfer.schema"]


def main() -> None:
    forms = schema()
    day = datetime(2025, 3, 1, 12, tzinfo=UTC)
    documents = [
        forms.TransferDocument(
            id="chat/1",
            created_at=day,
            facts=[
                forms.TransferFact(
                    text="Sarah lives in Kraków.",
                    fact_type="world",
                    mentioned_at=day,
                    occurred_start=datetime(2024, 5, 1, tzinfo=UTC),
                    entities=["Sarah", "Kraków"],
                    tags=["home"],
                    metadata={"source": "chat"},
                ),
                forms.TransferFact(text="The user is allergic to peanuts.", fact_type="world", mentioned_at=day),
            ],
        ),
        forms.TransferDocument(
            id="chat/2",
            facts=[forms.TransferFact(text="Helped the user plan a trip.", fact_type="experience", event_date=day)],
        ),
    ]
    manifest = forms.TransferManifest(
        source_bank_id="sarah",
        exported_at=day,
        document_count=2,
        fact_count=3,
        observation_count=1,
        archive_type="bank",
    )
    (HERE / "hindsight/documents").mkdir(parents=True, exist_ok=True)
    (HERE / "hindsight/manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n")
    for number, document in enumerate(documents):
        (HERE / f"hindsight/documents/{number:06}.json").write_text(document.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
