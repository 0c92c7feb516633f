from __future__ import annotations

import pytest

from memsvc.errors import forget_frames


def _failing(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.timeout(20)
def test_the_frames_of_an_error_are_let_go_of_and_of_its_causes_though_they_stand_in_a_ring() -> None:
    first, second, third = _failing(ValueError("a")), _failing(KeyError("b")), _failing(OSError("c"))
    first.__cause__, second.__context__, third.__cause__ = second, third, first
    forget_frames(first)
    assert [error.__traceback__ for error in (first, second, third)] == [None, None, None]
