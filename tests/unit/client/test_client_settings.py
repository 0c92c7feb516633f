"""Settings and schemas, as people write them and as they are sent."""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest

from memsvc.settings.schema import compile_schema
from memsvc_client import config_calls, context_calls, session_calls
from memsvc_client.calls import Subject
from memsvc_client.schemas import schema_json
from memsvc_client.settings import LAYERS, ConfigFields, settings_of

ACME = Subject(namespace="acme", user_id="sarah", agent_id="coder")


class Level(enum.Enum):
    JUNIOR = "junior"
    SENIOR = "senior"


@dataclass
class Address:
    city: str
    zip: str | None = None


@dataclass
class Person:
    name: Annotated[str, "As they want to be called"]
    age: int = field(metadata={"description": "In years"})
    addresses: list[Address]
    home: Optional[Address]  # noqa: UP045
    level: Level
    tone: Literal["dry", "warm"]
    scores: dict[str, float]
    born: datetime.date
    boss: Person | None
    pair: tuple[str, int]
    words: Sequence[str]
    anything: Any


class Model(pydantic.BaseModel):
    role: str
    years: int = pydantic.Field(description="In the job")
    address: AddressModel | None = None
    tags: list[str] = []


class AddressModel(pydantic.BaseModel):
    city: str


Model.model_rebuild()


@pytest.mark.parametrize(
    ("key", "fits", "wrong"),
    [
        ("name", "Sarah", 1),
        ("age", 7, "seven"),
        ("addresses", [{"city": "Lyon"}], [{"city": 7}]),
        ("home.city", "Lyon", 7),
        ("home", None, "Lyon"),
        ("level", "senior", "boss"),
        ("tone", "dry", "wet"),
        ("scores.go", 1.5, "high"),
        ("born", "2000-01-01", 2000),
        ("boss.boss.name", "Bo", 1),
        ("pair", ["a", 1], ["a", 1, 2]),
        ("words", ["a"], "a"),
    ],
)
def test_a_dataclass_says_what_its_keys_hold(key: str, fits: object, wrong: object) -> None:
    schema = compile_schema(schema_json("s", Person))
    assert schema.misfit(key, fits) is None
    assert schema.misfit(key, wrong) is not None


def test_a_schemas_keys_have_the_words_of_its_fields() -> None:
    keys = compile_schema(schema_json("s", Person)).keys
    assert keys["name"] == "As they want to be called"
    assert keys["age"] == "In years"
    assert "home.city" in keys


def test_a_pydantic_model_is_a_schema() -> None:
    schema = compile_schema(schema_json("s", Model))
    assert list(schema.keys) == ["role", "years", "address.city", "tags"]
    assert schema.misfit("years", "x") is not None
    assert schema.misfit("address.city", "Lyon") is None
    assert schema.list_keys == {"tags"}


@pytest.mark.parametrize("given", [7, Person, [], Address(city="x"), dict, complex])
def test_what_is_no_schema_is_named(given: Any) -> None:
    if given is Person:

        @dataclass
        class Odd:
            number: complex

        with pytest.raises(TypeError, match=r"profile_schema\.number"):
            _ = vars(Odd) and schema_json("profile_schema", Odd)
    else:
        with pytest.raises(TypeError, match="profile_schema"):
            schema_json("profile_schema", given)


def test_every_setting_is_sent_under_its_path_and_read_back() -> None:
    given: dict[str, Any] = {
        "enabled": False,
        "mode": "both",
        "capture_instructions": "c",
        **{f"allow_{name}": False for name in ("add", "update", "delete", "clear")},
        **{name: datetime.timedelta(days=3) for name in ("keep_runs", "keep_history", "keep_extractions")},
    }
    for layer in LAYERS:
        given |= {f"{layer}_{name}": name for name in ("prompt", "capture_instructions")}
        given |= {f"{layer}_{name}": False for name in ("learned", "shown", "stated_only")}
        given[f"{layer}_schema"] = {"properties": {"a": {"type": "string"}}}
    assert set(given) == set(ConfigFields.__annotations__) - {"update_memory_on_run", "enable_agentic_memory"}
    request: Any = config_calls.update(ACME, **given).request
    assert (request.namespace, request.agent_id) == ("acme", "")
    assert len(request.update_mask.paths) == len(set(request.update_mask.paths)) == len(given)
    read = settings_of(request.settings)
    for name, value in given.items():
        part, _, of_layer = name.partition("_")
        assert (getattr(getattr(read, part), of_layer) if part in LAYERS else getattr(read, name)) == value
    cleared: Any = config_calls.update(ACME, **dict.fromkeys(given)).request
    assert set(cleared.update_mask.paths) == set(request.update_mask.paths)
    assert not cleared.settings.ListFields()


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"update_memory_on_run": True, "enable_agentic_memory": True}, "both"),
        ({"update_memory_on_run": True, "enable_agentic_memory": False}, "automatic"),
        ({"update_memory_on_run": False, "enable_agentic_memory": True}, "agentic"),
        ({"update_memory_on_run": False, "enable_agentic_memory": False}, "off"),
        ({"update_memory_on_run": True}, "automatic"),
        ({"update_memory_on_run": False}, "off"),
        ({"enable_agentic_memory": True}, "both"),
        ({"enable_agentic_memory": None}, None),
    ],
)
def test_the_mode_may_be_said_as_two_switches(given: Any, mode: str | None) -> None:
    request: Any = config_calls.update(ACME, **given).request
    assert list(request.update_mask.paths) == ["mode"]
    assert settings_of(request.settings).mode == mode


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, "nothing"),
        ({"profile_color": "red"}, "profile_color"),
        ({"policy": "x"}, "policy"),
        ({"mode": "sometimes"}, "mode"),
        ({"mode": "both", "enable_agentic_memory": True}, "mode"),
        ({"enabled": "yes"}, "enabled"),
        ({"policies_prompt": 7}, "policies_prompt"),
        ({"keep_runs": "long"}, "keep_runs"),
        ({"feedback_schema": 7}, "feedback_schema"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_sent(given: Any, wrong: str) -> None:
    with pytest.raises((TypeError, ValueError), match=wrong):
        config_calls.update(ACME, **given)


def test_calls_bring_settings_and_who_asks() -> None:
    context: Any = context_calls.context(ACME, settings={"policies_shown": False}).request
    assert (context.agent_id, context.settings.policy.shown) == ("coder", False)
    run: Any = session_calls.append_run(ACME, "s1", [("user", "Hi")], settings={"mode": "agentic"}).request
    assert json.loads(json.dumps(settings_of(run.settings).mode)) == "agentic"
    with pytest.raises(ValueError, match="keep_runs"):
        context_calls.context(ACME, settings={"keep_runs": 5})  # type: ignore[typeddict-unknown-key]
