"""What is counted as it happens. Made only where somebody can ask for it: the operator's port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.metrics.instruments import MINUTES, Counts, Distributions, Family
from memsvc.model import Usage

FEW_NAMESPACES: Final = 20
OTHERS: Final = "_others"
"""The namespaces that have no label of their own."""


class Meters:
    """The instruments of a server."""

    def __init__(self, namespaces: Sequence[str] = ()) -> None:
        """`namespaces` have labels of their own; none given: those that come first."""
        self._named = frozenset(namespaces)
        self._seen: set[str] = set()
        self.calls = Counts("memsvc_rpc_calls_total", "Calls that have ended.", ("method", "code"))
        self.call_seconds = Distributions(
            "memsvc_rpc_seconds", "How long unary calls took, from their head to their reply.", ("method",)
        )
        self.open_streams = Counts("memsvc_rpc_open_streams", "Streams that are open.", ("method",), "gauge")
        self.journal_lag = Distributions(
            "memsvc_journal_lag_seconds", "How old a record of another process was when this one learned of it."
        )
        self.extractions = Counts(
            "memsvc_extractions_total",
            "Attempts at extractions that have ended, by how: succeeded, retried, failed.",
            ("namespace", "outcome", "reason"),
        )
        self.extraction_seconds = Distributions(
            "memsvc_extraction_seconds", "How long attempts at extractions took.", ("outcome",), MINUTES
        )
        self.proposals = Counts("memsvc_extraction_operations_total", "Operations that engines proposed.")
        self.model_calls = Counts("memsvc_model_calls_total", "Calls of the model.", ("namespace",))
        self.model_tokens = Counts(
            "memsvc_model_tokens_total",
            "Tokens as the provider counted them; cached ones are part of the input.",
            ("namespace", "kind"),
        )
        self.embedder_calls = Counts("memsvc_embedder_calls_total", "Calls of the embedder.", ("outcome",))
        self.embedder_texts = Counts("memsvc_embedder_texts_total", "Texts that were to be embedded.")
        self.embedder_seconds = Distributions("memsvc_embedder_seconds", "How long calls of the embedder took.")
        self.database_seconds = Distributions(
            "memsvc_database_seconds", "How long calls of the database took.", ("operation",)
        )
        self.database_errors = Counts(
            "memsvc_database_errors_total", "Calls of the database that failed.", ("operation", "reason")
        )

    def families(self) -> list[Family]:
        return [value for value in vars(self).values() if isinstance(value, Family)]

    def namespace(self, name: str) -> str:
        """Return the label of a namespace: there are never many of them."""
        if self._named:
            return name if name in self._named else OTHERS
        if name not in self._seen and len(self._seen) >= FEW_NAMESPACES:
            return OTHERS
        self._seen.add(name)
        return name

    def attempted(self, namespace: str, outcome: str, reason: str, seconds: float, count: int, usage: Usage) -> None:
        """Note an attempt at so many extractions, and what it cost."""
        label = self.namespace(namespace)
        self.extractions.cell(label, outcome, reason).add(count)
        self.extraction_seconds.cell(outcome).observe(seconds)
        self.asked(namespace, usage)

    def asked(self, namespace: str, usage: Usage) -> None:
        """Note what a model was asked, and what it cost."""
        if usage.calls:
            label = self.namespace(namespace)
            self.model_calls.cell(label).add(usage.calls)
            for kind in ("input", "cached", "output"):
                self.model_tokens.cell(label, kind).add(getattr(usage, f"{kind}_tokens"))
