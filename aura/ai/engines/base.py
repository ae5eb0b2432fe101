"""Engine interface: the request, the verdict, the error, and the protocols of local and remote engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aura.errors import JobError


@dataclass(frozen=True, slots=True)
class FewShotExample:
    """An earlier ticket with the labels that a person set, shown to a remote engine."""

    text: str
    category: str
    priority: str


@dataclass(frozen=True, slots=True)
class ClassificationRequest:
    """A ticket as an engine reads it; the id is for budget and log and is not sent to the AI provider."""

    title: str
    description: str
    language: str = "en"
    department: str = ""
    claimed_priority: str | None = None
    examples: tuple[FewShotExample, ...] = ()
    id: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an AI provider: the text that was sent, its outcome, tokens and cost."""

    model: str
    prompt_version: str
    #: The masked text, and the number of masked values by kind.
    sent: str
    masked: dict[str, int]
    #: "answered", or the reason why there is no answer.
    outcome: str
    input_tokens: int = 0
    output_tokens: int = 0
    #: US dollars.
    cost: float = 0.0
    latency_ms: float = 0.0


class Verdict(NamedTuple):
    """The classification of one ticket; confidences are from 0 to 1, the reason is a sentence or two for agents."""

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
    #: Why the local engine answered in place of the remote engine; empty otherwise.
    fallback: str = ""
    #: One sentence about the ticket.
    summary: str = ""
    #: negative, neutral or positive.
    sentiment: str = "neutral"
    #: Steps that the requester can try, a sentence each.
    self_fix: tuple[str, ...] = ()
    #: The words that decided the category.
    words: tuple[str, ...] = ()
    #: Whether a person has to review the verdict.
    review: bool = False
    #: US dollars.
    cost: float = 0.0
    #: Whether the verdict is the cached one of an equal ticket.
    cached: bool = False
    #: The verdict of the local engine, if its category differs from the remote engine's.
    disagreement: str = ""
    #: The requests to the AI provider for this verdict.
    calls: tuple[Call, ...] = ()


class EngineError(JobError):
    """An engine has no verdict on a ticket.

    ``permanent`` and ``retry_after`` as in JobError; ``sent``: a request reached the network; ``billed``: the AI provider may
    charge for it; ``throttled``: it asked for fewer requests. The message holds neither text of the ticket nor secrets.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        retry_after: float | None = None,
        sent: bool = False,
        billed: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(message, permanent=permanent, retry_after=retry_after)
        self.sent = sent
        self.billed = billed
        self.throttled = throttled
        #: The requests to the AI provider, as in Verdict.
        self.calls: tuple[Call, ...] = ()


class Engine(Protocol):
    """Classifies tickets."""

    name: str

    def classify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per request, in the same order. Raises EngineError."""
        ...


class RemoteEngine(Engine, Protocol):
    """An engine that sends tickets to an AI provider."""

    model: str
    prompt_version: str
    #: Bytes that are sent beside the text about the ticket.
    instructions_bytes: int

    async def classify_one(self, request: ClassificationRequest) -> Verdict:
        """Return the verdict on one request, on any event loop. Raises EngineError."""
        ...

    def outbound_text(self, request: ClassificationRequest) -> str:
        """Return the text about the ticket exactly as it is sent to the AI provider."""
        ...
