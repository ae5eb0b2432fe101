"""What an engine is: it reads tickets and says what each one is about and how urgent it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aura.errors import JobError


@dataclass(frozen=True, slots=True)
class FewShotExample:
    """A ticket of this desk that a person decided, for an engine that learns from examples."""

    text: str
    category: str
    priority: str


@dataclass(frozen=True, slots=True)
class ClassificationRequest:
    """What an engine may read of a ticket; the id is for the budget and the log, and is not sent."""

    title: str
    description: str
    language: str = "en"
    department: str = ""
    claimed_priority: str | None = None
    precedents: tuple[FewShotExample, ...] = ()
    id: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a remote engine: exactly what was sent about the ticket, and what came of it."""

    model: str
    prompt_version: str
    #: The text, masked, and how many of each kind were masked.
    sent: str
    masked: dict[str, int]
    #: "answered", or why there was no answer.
    outcome: str
    input_tokens: int = 0
    output_tokens: int = 0
    #: US dollars.
    cost: float = 0.0
    latency_ms: float = 0.0


class Verdict(NamedTuple):
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
    #: One sentence that says what the ticket is about.
    summary: str = ""
    #: negative, neutral or positive.
    sentiment: str = "neutral"
    #: What the requester can try meanwhile, a sentence each.
    self_fix: tuple[str, ...] = ()
    #: The words that decided.
    words: tuple[str, ...] = ()
    #: Whether a person should look at it before anybody relies on it.
    review: bool = False
    #: US dollars.
    cost: float = 0.0
    #: Whether the answer to an equal ticket was used again.
    cached: bool = False
    #: What the other engine said, when it was asked too and disagreed.
    disagreement: str = ""
    #: What left the house for this verdict, one entry for each request.
    calls: tuple[Call, ...] = ()


class EngineError(JobError):
    """An engine gave no verdict; ``permanent`` says that asking again will not help, ``retry_after`` is in seconds.

    The message is short and free of ticket text and secrets. ``sent`` says whether a request left the house, and
    ``billed`` whether the provider may charge for it.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        retry_after: float | None = None,
        sent: bool = False,
        billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.sent = sent
        self.billed = billed
        #: The request, as the verdict would have told it.
        self.calls: tuple[Call, ...] = ()


class Engine(Protocol):
    """Anything that can classify tickets."""

    name: str

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per question, in the same order. Raises EngineError."""
        ...


class RemoteEngine(Engine, Protocol):
    """An engine somewhere else: what is sent to it is masked, counted and written down."""

    model: str
    prompt_version: str
    #: Bytes that are sent beside the text about the ticket.
    instructions_bytes: int

    def sends(self, question: ClassificationRequest) -> str:
        """Return the text about the ticket exactly as it is sent."""
        ...
