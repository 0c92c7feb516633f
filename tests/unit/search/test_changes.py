from __future__ import annotations

from memsvc.search.changes import Changes


def test_what_changed_last_is_told_and_of_many_changes_only_that_they_were_many() -> None:
    changes = Changes[str]()
    assert changes.since(0) == []
    changes.note(("a",))
    before = changes.version
    changes.note(["b", "c"])
    assert changes.since(before) == ["b", "c"]
    assert changes.since(0) == ["a", "b", "c"]
    assert changes.since(changes.version) == []
    changes.note([str(number) for number in range(100)])
    assert changes.since(before) is None
    assert changes.since(changes.version - 2) == ["98", "99"]
