"""Telling cheaply that a conversation holds nothing to learn, so that no model is asked.

Precision before saving: passed over are only greetings, thanks and laughter, and acknowledgements ("ok", an emoji) that
answer no question. "Yes" and "no" are always read.
"""

from __future__ import annotations

import re
from typing import Final

from memsvc.extraction.engine import Conversation
from memsvc.model import Role

_SMALL_TALK: Final = (
    "thank you|thank u|thanks|thx|tysm|cheers|many thanks|merci|danke|gracias|grazie|obrigado|obrigada"
    "|so much|very much|a lot|a bunch|again"
    "|hi|hi there|hello|hello there|hey|hey there|hiya|howdy|good (?:morning|afternoon|evening|night|day)"
    "|bye|bye bye|goodbye|see you|see ya|cya|see you (?:later|soon|tomorrow)|take care"
    "|ha(?:ha)+|he(?:he)+|lol|rofl|lmao|hm+|um+|uh+|oh|ah|wow|no worries|you re welcome|you too|same to you"
)
_ACKNOWLEDGEMENT: Final = (
    "ok|okay|okey|k|kk|cool|great|nice|fine|alright|all right|got it|i see|understood|makes sense|noted|will do|good"
    "|sounds good|roger"
)
_ONLY_SMALL_TALK: Final = re.compile(rf"(?:(?:{_SMALL_TALK})(?: |\Z))+")
_ONLY_ACKNOWLEDGEMENT: Final = re.compile(rf"(?:(?:{_SMALL_TALK}|{_ACKNOWLEDGEMENT})(?: |\Z))+")
_NOT_WORDS: Final = re.compile(r"[\W_]+")
_QUESTION_MARKS: Final = frozenset("?？؟")
_JUDGEMENTS: Final = frozenset("👍👎✅❌✔✖☑💯")
"""Emoji that say something about a statement, too."""
_LONGEST: Final = 80


def worth_reading(conversation: Conversation) -> bool:
    """Tell whether a model should read `conversation`: False only where there is certainly nothing to learn."""
    heard = ""
    if conversation.is_task:
        return any(message.text.strip() for message in conversation.messages)
    for message in conversation.earlier:
        if message.role is Role.ASSISTANT:
            heard = message.text
    for message in conversation.messages:
        if message.role is Role.ASSISTANT:
            heard = message.text
        elif conversation.is_source(message) and _says_something(message.text, heard):
            return True
    return False


def _says_something(text: str, heard: str) -> bool:
    """Tell whether `text`, said after the assistant's `heard`, may hold something to remember."""
    if len(text) > _LONGEST:
        return not text.isspace()
    was_asked = not _QUESTION_MARKS.isdisjoint(heard)
    words = _NOT_WORDS.sub(" ", text.casefold()).strip()
    if not words:
        return bool(text.strip()) and (was_asked or (bool(heard) and not _JUDGEMENTS.isdisjoint(text)))
    if _ONLY_SMALL_TALK.fullmatch(words):
        return False
    return was_asked or not _ONLY_ACKNOWLEDGEMENT.fullmatch(words)
