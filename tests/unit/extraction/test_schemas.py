"""The default layer schemas are well formed and say what every engine may write."""

from __future__ import annotations

import re

import pytest

from memsvc.extraction.schemas import _check_keys, default_schemas, is_list_key, list_text
from memsvc.model import Layer


def test_every_layer_has_a_schema_in_order() -> None:
    assert [schema.layer for schema in default_schemas()] == list(Layer)
    assert all(schema.description for schema in default_schemas())


def test_the_keys_that_the_documentation_names_exist() -> None:
    keys = {schema.layer: schema.keys for schema in default_schemas()}
    assert {"name", "role", "company", "location", "languages", "stack.languages"} <= keys[Layer.PROFILE].keys()
    assert {"response_style", "response_language", "contact_channel"} <= keys[Layer.POLICY].keys()
    assert not keys[Layer.FEEDBACK]


@pytest.mark.parametrize("schema", default_schemas(), ids=lambda schema: schema.layer)
def test_keys_are_paths_each_with_a_meaning(schema: object) -> None:
    for key, meaning in schema.keys.items():  # type: ignore[attr-defined]
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*", key)
        assert meaning


def test_no_key_is_both_a_leaf_and_a_branch() -> None:
    with pytest.raises(ValueError, match=r"profile\.stack: a leaf, but stack\.languages needs a branch"):
        _check_keys(Layer.PROFILE, ["stack", "stack.languages"])


def test_a_malformed_key_is_named() -> None:
    with pytest.raises(ValueError, match="9lives"):
        _check_keys(Layer.PROFILE, ["9lives"])


def test_list_keys_know_their_sentence() -> None:
    assert is_list_key(Layer.PROFILE, "languages")
    assert not is_list_key(Layer.PROFILE, "name")
    assert list_text(Layer.PROFILE, "languages", ["French", "German"]) == "Speaks French, German"
