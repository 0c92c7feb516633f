"""`update_user_memory`: a task in words, carried out by the extraction engine as an extraction of its own."""

from __future__ import annotations

from msgspec import Struct

from memsvc.configuration import NOTHING, GivenSettings
from memsvc.errors import Reason
from memsvc.extraction.jobs.extractions import Extractions
from memsvc.journal.records import Request
from memsvc.model import Commit, Extraction, ExtractionState, Message, Origin, Role, Scope, TextPart
from memsvc.tools.answers import Answer, failed, told
from memsvc.users import Users


class Tasks(Struct):
    """Hands tasks to the engine, and tells what became of them."""

    users: Users
    extractions: Extractions
    has_model: bool
    """Whether the engine is a language model."""

    async def carry_out(
        self,
        scope: Scope,
        task: str,
        origin: Origin,
        request: Request | None,
        wait_seconds: float,
        overrides: GivenSettings = NOTHING,
    ) -> Answer:
        """Queue a task and wait for it, at most so long. It is done once, whether anybody waits or not."""
        message = Message(Role.USER, (TextPart(task),))
        extraction_id = await self.extractions.accept_task(scope, message, origin, request, overrides)
        extraction, commit = await self.extractions.wait(scope, extraction_id, wait_seconds)
        revision = (await self.users.latest(scope)).revision
        return self._answer(extraction, commit, revision)

    def _answer(self, extraction: Extraction, commit: Commit | None, revision: int) -> Answer:
        refused = "\n".join(f"Not done: {refusal.detail}" for refusal in extraction.refusals)
        if extraction.state in (ExtractionState.FAILED, ExtractionState.CANCELLED):
            sentence = f"the task could not be carried out: {extraction.detail or extraction.reason}"
            return failed(extraction.reason, sentence, extraction=extraction, revision=revision)
        if extraction.state is not ExtractionState.SUCCEEDED:
            because = f" ({extraction.detail or extraction.reason})" if extraction.reason else ""
            text = f"The task is accepted and not done yet{because}. It goes on by itself: do not repeat it."
            return Answer(text=text, extraction=extraction, revision=revision)
        if commit is not None and commit.changes:
            text = "\n".join(filter(None, (told(commit.changes), refused)))
            return Answer(text=text, commit=commit, extraction=extraction, revision=revision)
        if extraction.change_count:
            text = f"Changed {extraction.change_count} memories."
            return Answer(text=text, extraction=extraction, revision=revision)
        if refused:
            return failed(extraction.refusals[0].reason, refused, extraction=extraction, revision=revision)
        if self.has_model:
            text = "Nothing was changed: there is nothing to do, or it is remembered already."
            return Answer(text=text, extraction=extraction, revision=revision)
        sentence = (
            "nothing was changed. It is remembered already, or the task was not understood: no language model reads it,"
            ' only plain sentences such as "I work at Acme", "my role is Engineer" or "forget my job". Say it so, or'
            " use save_memory, update_memory or forget"
        )
        return failed(Reason.NO_MODEL, sentence, extraction=extraction, revision=revision)
