"""Make mem0.json with mem0's own store and history, without a model: pip install mem0ai==2.2.1.

Memories are added with infer=False, which asks no model; the embedder gives every text the same vector.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

HERE = Path(__file__).parent


class SameVector:
    """Stands for an embedder, which would ask a service."""

    def __init__(self, *_: object, **__: object) -> None:
        from types import SimpleNamespace

        self.config = SimpleNamespace(embedding_dims=4)

    def embed(self, *_: object, **__: object) -> list[float]:
        return [1.0, 0.0, 0.0, 0.0]

    def embed_batch(self, texts: list[str], *_: object, **__: object) -> list[list[float]]:
        return [[1.0, 0.0, 0.0, 0.0] for _ in texts]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MEM0_DIR": folder, "MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none"}
        from mem0 import Memory
        from mem0.utils.factory import EmbedderFactory

        config = {
            "vector_store": {"provider": "qdrant", "config": {"path": f"{folder}/q", "embedding_model_dims": 4}},
            "history_db_path": f"{folder}/history.db",
        }
        with patch.object(EmbedderFactory, "create", lambda *_, **__: SameVector()):
            memory = Memory.from_config(config)
            memory.add("Lives in Boston", user_id="sarah", infer=False, metadata={"category": "home"})
            memory.add("Lives in Berlin", user_id="sarah", agent_id="support", infer=False)
            memory.add([{"role": "user", "content": "I am allergic to nuts"}], user_id="sarah", infer=False)
            shown = memory.get_all(filters={"user_id": "sarah"})
        (HERE / "mem0.json").write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
