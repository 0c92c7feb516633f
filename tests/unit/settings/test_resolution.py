"""What is in force: the most specific level that says something of a field is heard, whatever it says of others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from memsvc.configuration import NOTHING, GivenLayer, GivenOperations, GivenRetention, GivenSettings, read, written
from memsvc.model import Layer, LearningMode
from memsvc.settings import DEFAULT_SETTINGS, MemorySettings, Operations, overlaid, resolved
from memsvc.settings.updating import PATHS, with_paths

SCHEMA = '{"properties": {"role": {"type": "string"}}}'
SERVER = MemorySettings(operations=Operations(clear=True))

CASES: list[tuple[str, Any, Any, Any, Any]] = [
    # field, of the request, of the agent, of the namespace, in force
    ("enabled", None, None, None, True),
    ("enabled", None, None, False, False),
    ("enabled", None, True, False, True),
    ("enabled", False, True, False, False),
    ("mode", None, None, None, LearningMode.AUTOMATIC),
    ("mode", None, None, LearningMode.OFF, LearningMode.OFF),
    ("mode", None, LearningMode.BOTH, LearningMode.OFF, LearningMode.BOTH),
    ("mode", LearningMode.AGENTIC, LearningMode.BOTH, None, LearningMode.AGENTIC),
    ("capture_instructions", None, None, None, ""),
    ("capture_instructions", None, "of the agent", "of all", "of the agent"),
    ("capture_instructions", "", "of the agent", "of all", ""),
    ("operations.add", None, None, False, False),
    ("operations.add", True, None, False, True),
    ("operations.update", None, False, True, False),
    ("operations.delete", None, None, None, True),
    ("operations.clear", None, None, None, True),
    ("operations.clear", None, None, False, False),
    ("operations.clear", True, False, False, True),
    ("retention.run_seconds", None, None, None, 0.0),
    ("retention.run_seconds", None, None, 60.0, 60.0),
    *(
        case
        for layer in Layer
        for case in (
            (f"{layer}.learned", None, None, None, True),
            (f"{layer}.learned", None, True, False, True),
            (f"{layer}.learned", False, True, True, False),
            (f"{layer}.shown", None, None, False, False),
            (f"{layer}.shown", True, None, False, True),
            (f"{layer}.stated_only", None, True, False, True),
            (f"{layer}.prompt", None, None, "of all", "of all"),
            (f"{layer}.prompt", None, "", "of all", ""),
            (f"{layer}.capture_instructions", "now", "of the agent", "of all", "now"),
            (f"{layer}.schema_json", None, None, None, None),
            (f"{layer}.schema_json", None, None, SCHEMA, SCHEMA),
            (f"{layer}.schema_json", None, "", SCHEMA, None),
            (f"{layer}.schema_json", SCHEMA, "", None, SCHEMA),
        )
    ),
]


def level(field: str, value: Any) -> GivenSettings:
    """Return a level that says `value` of a field, and something of another one."""
    if value is None:
        return NOTHING if field == "capture_instructions" else GivenSettings(capture_instructions="beside")
    part, _, name = field.partition(".")
    if not name:
        return GivenSettings(**{part: value})
    if part == "operations":
        return GivenSettings(operations=GivenOperations(**{name: value}))
    if part == "retention":
        return GivenSettings(retention=GivenRetention(**{name: value}))
    return GivenSettings(layers={Layer(part): GivenLayer(**{name: value})})


def found(settings: MemorySettings, field: str) -> Any:
    part, _, name = field.partition(".")
    if not name:
        return getattr(settings, part)
    if part in ("operations", "retention"):
        return getattr(getattr(settings, part), name)
    layer = settings.layers[Layer(part)]
    if name == "schema_json":
        return layer.schema.text if layer.schema is not None else None
    return getattr(layer, name)


@pytest.mark.parametrize(("field", "of_request", "of_agent", "of_namespace", "expected"), CASES)
def test_the_most_specific_level_that_says_something_is_heard(
    field: str, of_request: Any, of_agent: Any, of_namespace: Any, expected: Any
) -> None:
    levels = [level(field, value) for value in (of_request, of_agent, of_namespace)]
    settings = resolved(overlaid(*levels), SERVER, revision=7)
    assert found(settings, field) == expected
    assert settings.config_revision == 7
    others = {case[0] for case in CASES} - {field, "capture_instructions"}
    assert all(found(settings, other) == found(SERVER, other) for other in others)


def test_every_field_is_in_the_table() -> None:
    whole = {"operations", "retention", *Layer}
    named = {case[0] for case in CASES}
    # How long things are kept is of the namespace alone: one of these fields stands for all.
    assert all(path.startswith("retention.") for path in PATHS - whole - named)


def test_nothing_said_is_what_the_server_says() -> None:
    assert resolved(NOTHING) == DEFAULT_SETTINGS
    assert resolved(NOTHING, SERVER) == SERVER
    assert overlaid() == overlaid(NOTHING, NOTHING) == NOTHING


switches = st.none() | st.booleans()
words = st.none() | st.text(max_size=5)
layers = st.builds(
    GivenLayer,
    learned=switches,
    shown=switches,
    schema_json=st.sampled_from((None, "", SCHEMA)),
    prompt=words,
    capture_instructions=words,
    stated_only=switches,
)
levels = st.builds(
    GivenSettings,
    enabled=switches,
    mode=st.none() | st.sampled_from(LearningMode),
    layers=st.dictionaries(st.sampled_from(Layer), layers.filter(lambda each: each != GivenLayer())),
    capture_instructions=words,
    operations=st.builds(GivenOperations, add=switches, update=switches, delete=switches, clear=switches),
)


@given(levels, levels, levels)
@hypothesis_settings(deadline=None, max_examples=60)
def test_levels_can_be_laid_over_each_other_in_any_grouping(
    first: GivenSettings, second: GivenSettings, third: GivenSettings
) -> None:
    whole = overlaid(first, second, third)
    assert overlaid(first, overlaid(second, third)) == overlaid(overlaid(first, second), third) == whole
    assert read(written(whole)) == whole
    for field in PATHS - {"operations", "retention", *Layer}:
        said = [each for each in (first, second, third) if _says(each, field)]
        expected = resolved(said[0]) if said else DEFAULT_SETTINGS
        assert found(resolved(whole), field) == found(expected, field)


def _says(settings: GivenSettings, field: str) -> bool:
    part, _, name = field.partition(".")
    if not name:
        return getattr(settings, part) is not None
    if part in ("operations", "retention"):
        return getattr(getattr(settings, part), name) is not None
    return getattr(settings.layers.get(Layer(part), GivenLayer()), name) is not None


@given(levels, levels, st.sets(st.sampled_from(sorted(PATHS)), min_size=1))
@hypothesis_settings(deadline=None, max_examples=60)
def test_an_update_changes_what_it_names_and_nothing_else(
    before: GivenSettings, said: GivenSettings, paths: set[str]
) -> None:
    after = with_paths(before, said, paths)
    for field in PATHS - {"operations", "retention", *Layer}:
        named = field in paths or field.partition(".")[0] in paths
        assert found(resolved(after), field) == found(resolved(said if named else before), field)
        assert _says(after, field) == _says(said if named else before, field)
    assert with_paths(after, said, paths) == after


@given(levels)
@hypothesis_settings(deadline=None, max_examples=60)
def test_what_does_not_matter_for_learning_does_not_part_extractions(said: GivenSettings) -> None:
    shown = {layer: GivenLayer(shown=False) for layer in Layer}
    other = overlaid(said, GivenSettings(enabled=True, layers=shown, retention=GivenRetention(run_seconds=5.0)))
    assert resolved(other).learning_digest == resolved(said).learning_digest
