"""The `folder` embedder: a static model in model2vec's form, from a folder of one's own.

`model.safetensors` has a vector for each token (`embeddings`), perhaps with what each token weighs (`weights`) and
which row is its own (`mapping`); `tokenizer.json` says how texts are cut. A text's vector is the mean of its tokens'
vectors, as model2vec has it. Nothing but numpy is needed where texts are cut into BERT's pieces, as most such models
have it; other tokenizers take the package `tokenizers`.

The table is mapped into memory, not read: only the rows of tokens that are met take room.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from memsvc.search.embedders.contract import embed_in_slices
from memsvc.search.embedders.wordpiece import WordPiece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TENSORS_FILE: Final = "model.safetensors"
TOKENIZER_FILE: Final = "tokenizer.json"

_TYPES: Final = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "|i1", "I64": "<i8", "I32": "<i4"}
_MOST_HEADER_BYTES: Final = 1 << 20
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 4096
_MOST_CHARACTERS: Final = 8192
_UNKNOWN: Final = -1


class UnusableFolder(Exception):
    """The folder holds no model that can be used. The text is for people."""


class Tensor(Struct, frozen=True):
    """Where in the file a tensor is."""

    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Model(Struct, frozen=True):
    """What is in a folder."""

    rows: NDArray[Any]
    """A vector for each row, as stored."""
    weights: NDArray[np.float32] | None
    """Of each token."""
    mapping: NDArray[np.int64] | None
    """The row of each token; None: its own number."""


class FolderEmbedder:
    """Embeds by a folder in model2vec's form."""

    instant = True

    def __init__(self, folder: Path) -> None:
        """Raises UnusableFolder for one that cannot be used."""
        self._folder = folder
        self._tensors = read_header(folder)
        self.name = f"folder-{_digest(folder)}"
        self._numbers = read_tokenizer(folder)

    def load(self) -> None:
        """Load what the first text would have to wait for; in any thread."""
        _ = self._model

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        return await embed_in_slices(self.vector, texts)

    def vector(self, text: str) -> bytes:
        """Return the vector of one text."""
        import numpy as np

        mean = self.mean(text)
        largest = float(np.abs(mean).max(initial=0.0))
        return np.rint(mean * (127 / largest)).astype(np.int8).tobytes() if largest else bytes(len(mean))

    def mean(self, text: str) -> NDArray[np.float32]:
        """Return the mean of the vectors of a text's tokens, of zeros where there is none."""
        import numpy as np

        model = self._model
        count = len(model.rows if model.mapping is None else model.mapping)
        numbers = [number for number in self._numbers(text[:_MOST_CHARACTERS]) if number < count]
        if not numbers:
            return np.zeros(model.rows.shape[1], np.float32)
        vectors = model.rows[numbers if model.mapping is None else model.mapping[numbers]].astype(np.float32)
        if model.weights is not None:
            vectors *= model.weights[numbers][:, None]
        mean: NDArray[np.float32] = vectors.mean(axis=0)
        return mean

    async def close(self) -> None:
        return None

    @cached_property
    def _model(self) -> Model:
        import numpy as np

        whole = np.memmap(self._folder / TENSORS_FILE, dtype=np.uint8, mode="r")

        def read(name: str) -> NDArray[Any] | None:
            tensor = self._tensors.get(name)
            if tensor is None:
                return None
            part = whole[tensor.start : tensor.stop]
            # What does not begin at a multiple of its size cannot be looked at in place.
            item = np.dtype(_TYPES[tensor.kind])
            part = part if tensor.start % item.itemsize == 0 else part.copy()
            return part.view(item).reshape(tensor.shape)

        rows, weights, mapping = read("embeddings"), read("weights"), read("mapping")
        assert rows is not None
        return Model(
            rows,
            None if weights is None else weights.astype(np.float32),
            None if mapping is None else mapping.astype(np.int64),
        )


def read_header(folder: Path) -> Mapping[str, Tensor]:
    """Return where the tensors of a model are, as https://huggingface.co/docs/safetensors has it."""
    path = folder / TENSORS_FILE
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, _MOST_HEADER_BYTES):
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
        tensors = {
            name: Tensor(each["dtype"], tuple(each["shape"]), *(8 + length + offset for offset in each["data_offsets"]))
            for name, each in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise UnusableFolder(f"{TENSORS_FILE} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise UnusableFolder(f"{TENSORS_FILE} is no safetensors file") from error
    if "embeddings" not in tensors:
        raise UnusableFolder(f"{TENSORS_FILE} has no tensor `embeddings`: it is in another form than model2vec's")
    for name in ("embeddings", "weights", "mapping"):
        _check_tensor(name, tensors.get(name), size)
    tokens = tensors["mapping"].shape[0] if "mapping" in tensors else tensors["embeddings"].shape[0]
    if "weights" in tensors and tensors["weights"].shape[0] != tokens:
        raise UnusableFolder(f"{TENSORS_FILE}: `weights` are of other tokens")
    return tensors


def _check_tensor(name: str, tensor: Tensor | None, size: int) -> None:
    if tensor is None:
        return
    if tensor.kind not in _TYPES:
        raise UnusableFolder(f"{TENSORS_FILE}: `{name}` is of the type {tensor.kind}; known are {', '.join(_TYPES)}")
    if len(tensor.shape) != (2 if name == "embeddings" else 1) or not all(tensor.shape):
        raise UnusableFolder(f"{TENSORS_FILE}: `{name}` has the shape {list(tensor.shape)}")
    count = 1
    for each in tensor.shape:
        count *= each
    if not 0 <= tensor.start <= tensor.stop <= size or tensor.stop - tensor.start != count * int(
        _TYPES[tensor.kind][2]
    ):
        raise UnusableFolder(f"{TENSORS_FILE}: `{name}` is cut off")


def read_tokenizer(folder: Path) -> Callable[[str], list[int]]:
    """Return what turns a text into the numbers of its tokens, without those that are not known."""
    path = folder / TOKENIZER_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        model = described["model"]
        is_bert = _is_bert(described)
    except OSError as error:
        raise UnusableFolder(f"{TOKENIZER_FILE} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise UnusableFolder(f"{TOKENIZER_FILE} describes no tokenizer") from error
    if is_bert:
        unknown = model["vocab"].get(model["unk_token"])
        known = {piece: number for piece, number in model["vocab"].items() if number != unknown}
        word_piece = WordPiece(known, _UNKNOWN)
        return lambda text: [piece.number for piece in word_piece.pieces(text) if piece.number != _UNKNOWN]
    try:
        package: Any = importlib.import_module("tokenizers")
    except ModuleNotFoundError as error:
        raise UnusableFolder(
            f"{TOKENIZER_FILE} is no BERT tokenizer of lower case; others need: pip install 'memsvc[folder]'"
        ) from error
    tokenizer = package.Tokenizer.from_file(str(path))
    unknown = tokenizer.token_to_id(str(model.get("unk_token"))) if model.get("unk_token") else model.get("unk_id")

    def numbers(text: str) -> list[int]:
        encoded = tokenizer.encode(text, add_special_tokens=False)
        return [number for number in encoded.ids if number != unknown]

    return numbers


def _is_bert(described: Mapping[str, Any]) -> bool:
    """Return whether texts are cut as `WordPiece` cuts them."""
    model, normalizer = described["model"], described.get("normalizer") or {}
    return (
        model.get("type") == "WordPiece"
        and model.get("continuing_subword_prefix", "##") == "##"
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("lowercase") is True
        and normalizer.get("strip_accents") is not False
        and (described.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
        and not any(not each.get("special") for each in described.get("added_tokens") or ())
    )


def _digest(folder: Path) -> str:
    """Return what tells models apart: of the table, which may be large, samples count."""
    digest = hashlib.blake2b((folder / TOKENIZER_FILE).read_bytes() if (folder / TOKENIZER_FILE).is_file() else b"")
    path = folder / TENSORS_FILE
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(number * max(0, size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
