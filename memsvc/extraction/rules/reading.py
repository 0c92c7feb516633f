"""Reading a conversation, sentence by sentence: what each one opens, asks for, takes back or states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from memsvc.extraction.engine import Action, Conversation, Operation
from memsvc.extraction.rules.answers import Answers
from memsvc.extraction.rules.clauses import clauses
from memsvc.extraction.rules.endings import correction, denied, ended, without_contrast
from memsvc.extraction.rules.facts import FactReader
from memsvc.extraction.rules.forgetting import Forgetting
from memsvc.extraction.rules.framing import Framing
from memsvc.extraction.rules.gathering import Effect, Gathering
from memsvc.extraction.rules.passing import Passing
from memsvc.extraction.rules.patterns import PatternBook
from memsvc.extraction.rules.requests import Requests
from memsvc.extraction.rules.sentences import MAX_SENTENCE_TOKENS, Sentence, quoted, sentences
from memsvc.extraction.rules.wording import told
from memsvc.extraction.zones import zone_of
from memsvc.log import Log
from memsvc.model import Layer, Message, Role, TextPart
from memsvc.spoken_times import said_at

log = Log(__name__)


class Reader:
    """Reads conversations by the patterns of a book. Holds nothing of any of them."""

    def __init__(self, book: PatternBook) -> None:
        self.book = book
        self.facts = FactReader(book)
        self.framing = Framing(book)
        self.forgetting = Forgetting(book)
        self.requests = Requests(book.lexicon, book.canonical["third_person"])
        self.passing = Passing(book)
        self.answers = Answers(book)


class ConversationReading:
    """One conversation, and what has been gathered from it."""

    def __init__(self, reader: Reader, conversation: Conversation) -> None:
        self._reader = reader
        self._conversation = conversation
        self.gathering = Gathering(conversation.known)
        self._zone = zone_of(conversation.known)
        self._playing = False
        """Whether a role is played, in this message and those after it."""
        self._muted = False
        """Whether the rest of the message is somebody else's, or private."""

    def steps(self) -> Iterator[Sequence[Operation]]:
        """Yield what each sentence changes, one sentence at a time, so that the caller can let others run."""
        heard = ""
        for message in self._conversation.earlier:
            heard = self._hear(message, heard)
        for index, message in enumerate(self._conversation.messages):
            if self._conversation.is_source(message):
                yield from self._message(index, message, heard)
                heard = ""
            elif message.role in (Role.USER, Role.ASSISTANT):
                heard = message.text

    def _hear(self, message: Message, heard: str) -> str:
        """Follow a message that was read before: it may have begun to play a role, or have asked something."""
        if not self._conversation.is_source(message):
            return message.text if message.role in (Role.USER, Role.ASSISTANT) else heard
        for sentence in sentences(message.text, self._reader.book.spelling):
            self._play(self._reader.framing.of(sentence))
        return ""

    def _play(self, reach: str) -> None:
        self._playing = reach == "always" or (self._playing and reach != "over")

    def _message(self, index: int, message: Message, heard: str) -> Iterator[Sequence[Operation]]:
        self._muted = False
        for part in message.parts:
            if isinstance(part, TextPart):
                for at, sentence in enumerate(sentences(part.text, self._reader.book.spelling)):
                    found: list[Operation] = []
                    try:
                        # "Can you reply to this?", and a letter follows.
                        self._muted = self._muted or (at > 0 and self._reader.framing.greets(sentence))
                        self._sentence(sentence, index, message, heard, found)
                    except Exception as error:
                        # It costs no other sentence.
                        log.error("sentence_not_read", error)
                    heard = ""
                    yield found

    def _sentence(self, sentence: Sentence, index: int, message: Message, heard: str, found: list[Operation]) -> None:
        """Read one sentence into `found`, unless the message no longer is in the user's own voice."""
        if len(sentence.tokens) > MAX_SENTENCE_TOKENS:
            return
        reach = self._reader.framing.of(sentence)
        self._play(reach)
        self._muted = self._muted or reach in ("rest", "private")
        if self._muted or self._playing or reach:
            if reach == "taken_back":
                self._take_back(index)
            return
        for effect in self._effects(sentence, message, heard):
            operation = msgspec.structs.replace(effect.operation, message_index=index)
            standing = self.gathering.take(msgspec.structs.replace(effect, operation=operation))
            if standing is not None:
                found.append(standing)

    def _take_back(self, index: int) -> None:
        """Drop what was just said: in this message, or, where that said nothing, in the user's message before it."""
        if self.gathering.learned_from(index):
            self.gathering.take_back(index)
            return
        messages = self._conversation.messages[:index]
        before = next((at for at in range(index - 1, -1, -1) if self._conversation.is_source(messages[at])), None)
        if before is not None:
            self.gathering.take_back(before)
        else:
            self.gathering.forget_said(
                next(
                    (each.text for each in reversed(self._conversation.earlier) if self._conversation.is_source(each)),
                    "",
                )
            )

    def _effects(self, sentence: Sentence, message: Message, heard: str) -> Iterator[Effect]:
        """Yield what a sentence changes: as a command, a correction, an answer, a request or a statement."""
        reader, now = self._reader, said_at(message.time, self._zone)
        if reader.forgetting.commands(sentence):
            yield from self._forgotten(sentence)
            return
        remembered = reader.requests.remembered(sentence)
        if remembered is not None:
            rest, note = remembered
            stated = list(self._stated(rest, message))
            yield from stated or ([Effect(note)] if note is not None else [])
            return
        corrected = correction(sentence)
        if corrected is not None:
            before, effect = corrected
            if before.tokens:
                yield from self._stated(before, message)
            yield effect
            return
        statement = reader.answers.statement(heard, sentence) if heard else None
        if statement is not None:
            yield from map(Effect, reader.facts.facts(statement, now))
        request = reader.requests.request(sentence)
        asked = reader.facts.facts(request, now, whole=True) if request is not None else []
        yield from map(Effect, asked)
        if not asked:
            yield from self._stated(sentence, message)
            yield from map(Effect, reader.passing.mentioned(sentence))

    def _stated(self, sentence: Sentence, message: Message) -> Iterator[Effect]:
        """Yield what a sentence states, and what it says is no longer so."""
        now = said_at(message.time, self._zone)
        # "I live in Stormwind lol": what is laughed at is no fact to stand first in every prompt.
        joking = not self._reader.book.lexicon.words("joking").isdisjoint(sentence.words)
        for clause in clauses(without_contrast(sentence), self._reader.book.lexicon):
            over = ended(clause)
            ends = [fact for positive in over for fact in self._reader.facts.facts(positive, now)]
            yield from (Effect(fact, ends=True) for fact in ends)
            if over and not ends:
                text = told(over[0].tokens, clause.source, self._reader.book.canonical["third_person"], {})
                yield Effect(Operation(action=Action.ADD, text=text, quote=quoted(sentence)), ends=True)
            if not over:
                found = self._reader.facts.facts(clause, now)
                yield from (Effect(fact) for fact in found if not joking or fact.layer is not Layer.PROFILE)
                positive = denied(clause)
                if positive is not None and not found and not joking:
                    facts = self._reader.facts.facts(positive, now)
                    yield from (Effect(fact, denies=True) for fact in facts if fact.action is Action.ADD)

    def _forgotten(self, sentence: Sentence) -> Iterator[Effect]:
        """Yield the deletions that a command asks for: of everything, of what it states, or of what it names."""
        forgetting = self._reader.forgetting
        if forgetting.clears(sentence):
            yield Effect(Operation(action=Action.CLEAR, quote=quoted(sentence)))
            return
        named = forgetting.object(sentence)
        if named is None:
            return
        facts = self._reader.facts
        stated = [fact for clause in clauses(named, self._reader.book.lexicon) for fact in facts.facts(clause, None)]
        for fact in stated:
            yield Effect(fact, ends=True)
        if not stated:
            yield from map(Effect, forgetting.deletions(named, sentence, self._conversation.known))
