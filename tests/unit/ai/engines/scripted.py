"""A remote engine with scripted answers, and requests for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.remote import RemoteEngineWithFallback
from aura.ai.engines.shared_state import SharedState
from aura.settings import given

SECRET = "ada.lovelace@example.com"


VPN = ClassificationRequest("VPN drops", f"The VPN tunnel drops all the time. Mail me at {SECRET}", id=1)


class Scripted:
    """A remote engine with a scripted verdict or error that records its requests."""

    name, model, prompt_version, instructions_bytes = "openai", "test-model", "test-v1", 1_000

    def __init__(self) -> None:
        self.requests: list[ClassificationRequest] = []
        self.error: EngineError | None = None
        self.verdict = Verdict(
            "Network", 0.9, "medium", 0.9, "The tunnel drops.", self.name, self.model, self.prompt_version,
            input_tokens=400, output_tokens=50, summary="The VPN drops.", sentiment="negative", self_fix=("Reconnect.",),
        )  # fmt: skip
        self.answering = threading.Event()
        self.answering.set()

    def outbound_text(self, request: ClassificationRequest) -> str:
        return f"{request.title}\n{request.description}"

    def classify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        self.requests += requests
        assert self.answering.wait(60)
        if self.error is not None:
            raise self.error
        return [self.verdict for _ in requests]

    async def classify_one(self, request: ClassificationRequest) -> Verdict:
        [verdict] = await asyncio.to_thread(self.classify, [request])
        return verdict


@pytest.fixture
def remote() -> Iterator[Scripted]:
    remote = Scripted()
    yield remote
    remote.answering.set()


def make(remote: Scripted, shared_state: SharedState, **values: Any) -> RemoteEngineWithFallback:
    settings = given(**values)
    return RemoteEngineWithFallback(remote, LocalEngine(settings.categories), shared_state, settings)


class Way:
    """How `classify` asks: in this thread, or on an event loop."""

    on_event_loop = False


@pytest.fixture(params=["thread", "event loop"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with calls in threads, and with calls on event loops."""
    monkeypatch.setattr(Way, "on_event_loop", request.param == "event loop")
    return str(request.param)


def classify(engine: RemoteEngineWithFallback, request: ClassificationRequest = VPN) -> Verdict:
    if Way.on_event_loop:
        [prepared] = engine.single.prepare([request])
        return asyncio.run(engine.single.classify(prepared))
    return engine.classify([request])[0]


def another_request(number: int) -> ClassificationRequest:
    return replace(VPN, title=f"VPN drops {number}", id=number)
