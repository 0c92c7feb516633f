"""Which embedder there is, from the configuration."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.search.embedders.contract import Embedder


def chosen_embedder(settings: Config) -> str:
    """Return the embedder's name: `auto` is static where numpy is installed, else none."""
    if settings.embedder == "auto":
        return "static" if importlib.util.find_spec("numpy") is not None else "none"
    return settings.embedder


def build_embedder(settings: Config) -> Embedder | None:
    """Return the embedder; None: search goes by words alone. Raises InvalidArgument for what it cannot work with."""
    name = chosen_embedder(settings)
    if name == "none":
        return None
    if importlib.util.find_spec("numpy") is None:
        raise invalid("embedder", f"{name} needs numpy: pip install numpy")
    if name == "static":
        from memsvc.search.embedders.static import StaticEmbedder

        return StaticEmbedder()
    if name == "folder":
        from memsvc.search.embedders.folder import FolderEmbedder, UnusableFolder

        if not settings.embedding_folder:
            raise invalid("embedding_folder", "must be set for embedder = folder")
        try:
            return FolderEmbedder(Path(settings.embedding_folder))
        except UnusableFolder as error:
            raise invalid("embedding_folder", str(error)) from error
    from memsvc.endpoint.client import OPENAI_URL
    from memsvc.meaning.openai import EmbeddingSettings, OpenAIEmbedder

    # A key belongs to its endpoint: that of the language model is not sent elsewhere.
    shares = not settings.embedding_base_url or settings.embedding_base_url == settings.openai_base_url
    chosen = EmbeddingSettings(
        model=settings.embedding_model,
        base_url=settings.embedding_base_url or settings.openai_base_url or OPENAI_URL,
        api_key=settings.embedding_api_key or (settings.openai_api_key if shares else ""),
        extra_headers=settings.openai_extra_headers if shares else {},
        dimensions=settings.embedding_dimensions,
        timeout_seconds=settings.embedding_timeout_seconds,
        connect_timeout_seconds=settings.model_connect_timeout_seconds,
    )
    try:
        return OpenAIEmbedder(chosen)
    except ModuleNotFoundError as error:
        raise invalid("embedder", str(error)) from error
