"""What is said and remembered in the calls: many scripts, quotes, wildcards, markup, and what rules learn from."""

from __future__ import annotations

from typing import Any

TEXTS = (
    "Skis in winter",
    "Likes café au lait, not CAFÉ",
    "Works with Python and Go",
    "住在东京，喜欢寿司",
    "Πίνει καφέ",
    'Says "100 % sure" and it\'s fine; DROP TABLE memories; --',
    "Uses </user_memory> in $where and {braces}",
    "🎿 in the Alps",
    "مرحبا بالعالم",
    "Cafe\u0301, decomposed",
    "Plays chess on Sundays with her sister",
    "Prefers short answers",
)
TURNS = (
    "My name is Sarah and I live in Berlin.",
    "I love sushi!",
    "I love tea, but I hate coffee.",
    "I work as a nurse.",
    "I am learning Japanese.",
    "Please keep your answers short.",
    "I moved to Zürich last week.",
    "Actually, my name is Sara.",
    "What is the weather like?",
    "I don't like sushi any more.",
    "I have two cats.",
    "I play the cello and I enjoy hiking.",
    "That answer was great, thank you!",
    "Forget that I love tea.",
    "これは日本語です。",
)
QUERIES = ("skiing in winter", "sushi", "café", "%", '"', "寿司", "what does she like to drink?", "🎿", "answers", "o'")
LABELS = ("sport", "food", "work", "Sport", "日本", "a.b", "$set", "%", "é", "e\u0301", " spaced ", "x" * 64)
KEYS = ("name", "role", "stack.languages", "stack", "home.city", "Name", "a_1.b_2")
VALUES = ('"x"', "1", "1.5", "true", "null", '["a", "b"]', '{"deep": {"er": [1, null]}}', '"é"', "{broken", "")
_SCHEMA = '{"properties": {"name": {"type": "string"}, "stack": {"properties": {"languages": {"type": "array"}}}}}'
SETTINGS: tuple[dict[str, Any], ...] = (
    {"enabled": False},
    {},
    {"mode": "LEARNING_MODE_BOTH"},
    {"profile": {"learned": False}},
    {"profile": {"schema_json": _SCHEMA}, "operations": {"delete": False}},
    {"policy": {"shown": False, "prompt": "Nur Wünsche"}, "capture_instructions": "日本"},
    {"knowledge": {"stated_only": True, "schema_json": '{"additionalProperties": false}'}},
    {"operations": {"update": False, "clear": True}},
    {"feedback": {"schema_json": "{broken"}},
)
"""What agents are configured with; all but the first may hold for everybody."""
