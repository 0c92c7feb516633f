from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc import errors
from memsvc.errors import Error, FieldViolation, Reason
from memsvc.rpc.status import shortened, wire_status
from memsvc.storage.driver import SchemaMismatch, StorageUnavailable

texts = st.text(st.characters(codec="utf-8"), max_size=9_000)


def every_error() -> list[type[Error]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Error) and kind is not Error
    ]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_grpc(kind: type[Error]) -> None:
    assert wire_status(kind(Reason.INTERNAL, "x")).code is grpc.StatusCode[kind.code]


def test_errors_of_the_storage_have_codes_too() -> None:
    assert wire_status(StorageUnavailable("down")).code is grpc.StatusCode.UNAVAILABLE
    assert wire_status(SchemaMismatch("newer")).code is grpc.StatusCode.FAILED_PRECONDITION


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
    assert (info.reason, info.domain) == ("INVALID_FIELD", "memsvc")


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
