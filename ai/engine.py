"""What an engine is: it reads tickets and says what each one is about and how urgent it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """What an engine may read of a ticket."""

    title: str
    description: str
    language: str = "en"
    department: str = ""
    claimed_priority: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an engine said about one ticket; confidences are 0 to 1, the reason is a sentence or two for a person."""

    category: str
    confidence: float
    priority: str
    priority_confidence: float
    reason: str
    engine: str
    model: str
    prompt_version: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0
    #: Why another engine than the configured one answered; empty when it did not.
    fallback: str = ""


class EngineError(Exception):
    """An engine gave no verdict; ``permanent`` says that asking again will not help, ``retry_after`` is in seconds.

    The message is short and free of ticket text and secrets.
    """

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class Engine(Protocol):
    """Anything that can classify tickets."""

    name: str

    def classify(self, questions: Sequence[Question]) -> list[Verdict]:
        """Return one verdict per question, in the same order. Raises EngineError."""
        ...
