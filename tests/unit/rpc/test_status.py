from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc import errors
from memsvc.errors import (
    Error,
    FailedPrecondition,
    FieldViolation,
    Reason,
    SchemaMismatch,
    StorageUnavailable,
    Unavailable,
)
from memsvc.rpc.status import shortened, wire_status

texts = st.text(st.characters(codec="utf-8"), max_size=9_000)


def every_error() -> list[type[Error]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Error) and kind is not Error
    ]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_grpc(kind: type[Error]) -> None:
    assert grpc.StatusCode[kind.code] is not grpc.StatusCode.OK


def test_who_handles_a_kind_of_error_handles_those_of_the_storage() -> None:
    for error, kind in ((StorageUnavailable("down"), Unavailable), (SchemaMismatch("newer"), FailedPrecondition)):
        assert isinstance(error, kind)
        assert wire_status(error).code is wire_status(kind(error.reason, "x")).code


def test_no_module_compares_codes_instead_of_handling_a_kind_of_error() -> None:
    root = Path(__file__).parents[3]
    comparing = re.compile(r"error\.code (==|!=|in|not in) ")
    for path in (*(root / "memsvc").rglob("*.py"), *(root / "drivers").rglob("*.py")):
        assert not comparing.search(path.read_text(encoding="utf-8")), path


@settings(deadline=None)
@given(
    texts,
    st.lists(st.builds(FieldViolation, texts, texts), max_size=20),
    st.dictionaries(texts, texts, max_size=20),
    st.floats(0, 1e6),
)
def test_details_stay_small_and_readable_whatever_goes_in(
    message: str, fields: list[FieldViolation], metadata: dict[str, str], retry: float
) -> None:
    error = errors.InvalidArgument(Reason.INVALID_FIELD, message, fields, metadata, retry)
    status = wire_status(error)
    ((key, details),) = status.trailers

    assert key == "grpc-status-details-bin"
    assert len(details) < 4096
    assert len(status.message.encode()) <= 400
    packed = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert packed.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "memsvc.dev")


def test_the_largest_details_stay_under_4_kib() -> None:
    long = "語" * 5_000
    fields = [FieldViolation(long, long)] * 50
    error = errors.Unavailable(Reason.INVALID_FIELD, long, fields, {f"{index}{long}": long for index in range(50)}, 1e9)

    assert 3_000 < len(wire_status(error).trailers[0][1]) < 4_096


@settings(deadline=None)
@given(texts, st.integers(10, 500))
def test_a_text_is_cut_between_characters(text: str, limit: int) -> None:
    short = shortened(text, limit)

    assert len(short.encode()) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
