"""A folder in model2vec's form embeds as model2vec does: the reference is the package itself."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memsvc.config import Config
from memsvc.errors import InvalidArgument
from memsvc.meaning.embedders import build_embedder
from memsvc.search.embedders.folder import TENSORS_FILE, TOKENIZER_FILE, FolderEmbedder, UnusableFolder
from memsvc.search.embedders.table import FOLDER, read_table

TEXTS = [
    "Skis at Tahoe every winter",
    "winter sports",
    "Naïve café — über alles!",
    "今天天气很好, 東京",
    "emoji 🎿 and\ttabs\nand lines",
    "unbelievablyextraordinarilylongword",
    "",
    "!!!",
]


def vocabulary() -> tuple[list[str], Any]:
    """Return the tokens of the shipped table, with a vector of 64 numbers for each."""
    table = read_table()
    names = (FOLDER / "pieces.txt").read_text(encoding="utf-8").splitlines()
    vectors = (table.rows[:, :64] * table.scales[:, None]).astype(np.float32)
    return names, vectors


def bert(names: list[str]) -> dict[str, Any]:
    """Return BERT's tokenizer of lower case over these pieces, as the package tokenizers writes it."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": names.index("[UNK]"),
                "content": "[UNK]",
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {name: number for number, name in enumerate(names)},
        },
    }


def write_tensors(folder: Path, **tensors: Any) -> None:
    """Write safetensors, as its page describes them."""
    kinds = {"float32": "F32", "float16": "F16", "int8": "I8", "int64": "I64"}
    header, parts, at = {}, [], 0
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor).tobytes()
        header[name] = {
            "dtype": kinds[str(tensor.dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(data)],
        }
        parts.append(data)
        at += len(data)
    head = json.dumps(header).encode()
    (folder / TENSORS_FILE).write_bytes(struct.pack("<Q", len(head)) + head + b"".join(parts))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder made of the shipped table, without any package of others."""
    folder = tmp_path_factory.mktemp("folder")
    names, vectors = vocabulary()
    write_tensors(folder, embeddings=vectors)
    (folder / TOKENIZER_FILE).write_text(json.dumps(bert(names)), encoding="utf-8")
    return folder


def angle(one: Any, other: Any) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def test_what_means_the_same_is_near(made: Path) -> None:
    embedder = FolderEmbedder(made)
    query, near, far = (
        np.frombuffer(embedder.vector(text), np.int8).astype(np.float32)
        for text in ("winter sports", "Skis at Tahoe", "The invoice of the plumber")
    )
    assert angle(query, near) > angle(query, far) + 0.1
    assert embedder.vector("") == bytes(64)


@pytest.mark.parametrize("form", ["as it is", "float16", "int8", "fewer rows"])
def test_a_text_has_the_vector_that_model2vec_gives_it(form: str, tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec", reason="the package model2vec is not installed")
    tokenizers = pytest.importorskip("tokenizers")
    names, vectors = vocabulary()
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(bert(names)))
    model = model2vec.StaticModel(vectors, tokenizer, {"normalize": False})
    if form == "fewer rows":
        model = model2vec.StaticModel(
            vectors[:1000],
            tokenizer,
            {"normalize": False},
            weights=np.linspace(0.5, 1.5, len(names)),
            token_mapping=np.arange(len(names)) % 1000,
        )
    model.save_pretrained(str(tmp_path))
    if form in ("float16", "int8"):
        model = model2vec.StaticModel.from_pretrained(str(tmp_path), quantize_to=form)
        model.save_pretrained(str(tmp_path))
    reference = model2vec.StaticModel.from_pretrained(str(tmp_path))
    embedder = FolderEmbedder(tmp_path)
    for text in TEXTS:
        np.testing.assert_allclose(embedder.mean(text), reference.encode(text).astype(np.float32), rtol=0.01, atol=1e-3)


def test_another_tokenizer_than_berts_is_read_by_the_package_for_it(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "ski": 1, "tea": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / TOKENIZER_FILE))
    write_tensors(tmp_path, embeddings=np.array([[9, 9], [1, 0], [0, 1]], np.float32))
    embedder = FolderEmbedder(tmp_path)
    assert embedder.mean("ski ski tea nothing").tolist() == pytest.approx([2 / 3, 1 / 3])
    assert embedder.vector("nothing") == bytes(2)


def test_another_table_has_another_name(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    assert FolderEmbedder(tmp_path).name == FolderEmbedder(made).name
    write_tensors(tmp_path, embeddings=vocabulary()[1] * 2)
    assert FolderEmbedder(tmp_path).name != FolderEmbedder(made).name


def cut_off(folder: Path) -> None:
    path = folder / TENSORS_FILE
    path.write_bytes(path.read_bytes()[:-100])


BREAKING: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / TENSORS_FILE).unlink(), "cannot be read"),
    (lambda folder: (folder / TOKENIZER_FILE).unlink(), "cannot be read"),
    (lambda folder: (folder / TENSORS_FILE).write_bytes(b"\xff" * 100), "no safetensors file"),
    (lambda folder: (folder / TENSORS_FILE).write_bytes(b""), "no safetensors file"),
    (lambda folder: (folder / TOKENIZER_FILE).write_text("[]"), "describes no tokenizer"),
    (lambda folder: write_tensors(folder, vectors=np.ones((2, 2), np.float32)), "no tensor `embeddings`"),
    (lambda folder: write_tensors(folder, embeddings=np.ones(4, np.float32)), "has the shape"),
    (
        lambda folder: write_tensors(folder, embeddings=np.ones((4, 2), np.int8), weights=np.ones(3, np.float32)),
        "of other tokens",
    ),
    (cut_off, "is cut off"),
]


@pytest.mark.parametrize(("breaks", "words"), BREAKING)
def test_a_folder_that_cannot_be_used_says_why_at_start(
    breaks: Callable[[Path], object], words: str, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    breaks(tmp_path)
    with pytest.raises(UnusableFolder, match=words):
        FolderEmbedder(tmp_path)
    with pytest.raises(InvalidArgument) as refused:
        build_embedder(Config(embedder="folder", embedding_folder=str(tmp_path)))
    assert refused.value.fields[0].field == "embedding_folder"


def test_a_folder_has_to_be_named(made: Path) -> None:
    with pytest.raises(InvalidArgument):
        build_embedder(Config(embedder="folder"))
    built = build_embedder(Config(embedder="folder", embedding_folder=str(made)))
    assert isinstance(built, FolderEmbedder)
