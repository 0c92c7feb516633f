"""What a file of another system holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from memsvc.model import Layer, Role


class Damaged(Exception):
    """Something in a file that makes no sense. Its words name the place and repeat nothing that stands there."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}" if place else why)
        self.place = place
        self.why = why


class LeftOut(Struct, frozen=True):
    """Something that is no memory of a user, and why it stays behind."""

    place: str
    why: str


class Fact(Struct, frozen=True, kw_only=True):
    """Something that another system remembers of a user."""

    place: str
    """Where it stands in the file: "row 3"."""
    text: str
    source_id: str = ""
    """What the other system calls it; empty: its text tells it apart."""
    user_id: str = ""
    """Empty: the file does not say."""
    layer: Layer | None = None
    """None: it has to be found out."""
    key: str = ""
    value_json: str = ""
    topics: Sequence[str] = ()
    input: str = ""
    agent_id: str = ""
    team_id: str = ""
    run_id: str = ""
    metadata: Mapping[str, str] = {}
    create_time: datetime | None = None
    update_time: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expire_time: datetime | None = None

    @property
    def time(self) -> datetime:
        """When it was last so, as far as the file says."""
        return self.update_time or self.create_time or _NO_TIME


class Said(Struct, frozen=True):
    """One message."""

    role: Role
    text: str
    time: datetime | None = None
    message_id: str = ""


class Turn(Struct, frozen=True, kw_only=True):
    """One exchange of a conversation."""

    place: str
    session_id: str
    run_id: str
    messages: Sequence[Said]
    user_id: str = ""
    title: str = ""


Found = Fact | Turn | LeftOut | Damaged
Finds = Iterator[Found]

_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def moment(place: str, name: str, value: Any) -> datetime | None:
    """Return a time that is given as ISO 8601, or as seconds or milliseconds since 1970. Raises Damaged."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, (int, float)):
            seconds = value / 1000 if abs(value) > 1e11 else value
            found = datetime.fromtimestamp(seconds, UTC)
        elif isinstance(value, str):
            found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        elif isinstance(value, datetime):
            found = value
        else:
            raise ValueError
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
        if not _EARLIEST <= found <= _LATEST:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise Damaged(place, f"{name} must be a time") from None
    return found


def string(place: str, name: str, value: Any, *, required: bool = False) -> str:
    """Return a text; none is empty. Raises Damaged for what is none, or no text that can be stored."""
    if value is None and not required:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Damaged(place, f"{name} must be a text")
    if required and not value.strip():
        raise Damaged(place, f"{name} must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Damaged(place, f"{name} must be of whole characters") from None
    if "\0" in value:
        raise Damaged(place, f"{name} must not contain NUL")
    return value


def strings(place: str, name: str, value: Any) -> Sequence[str]:
    """Return a list of texts; none is empty. Raises Damaged."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise Damaged(place, f"{name} must be a list")
    return [string(place, name, each) for each in value]


def mapping(place: str, name: str, value: Any) -> Mapping[str, Any]:
    """Return a JSON object; none is empty. Raises Damaged."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Damaged(place, f"{name} must be an object")
    return value
