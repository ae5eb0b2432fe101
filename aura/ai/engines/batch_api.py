"""OpenAI's Batch API: classifies many tickets with one file within a day, at half the price.

    prepare -> reserve -> upload -> submit -> status (until finished) -> results -> settle

As for a single call, texts are masked, costs are reserved, and answers are checked against the schema and the guardrails. File
and batch have a name chosen by the caller, so that a step is not repeated after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from aura.ai.engines.base import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.budget import Reservation, cost
from aura.ai.engines.openai import LONGEST_ANSWER, OpenAIEngine, engine_error
from aura.ai.engines.remote import RemoteEngineWithFallback
from aura.settings import Settings
from aura.tls import https_context

#: Seconds that one request may take; files are large.
TIMEOUT = 120.0
#: Newest files and batches that are searched by name.
SEARCHED = 1_000
#: Seconds after which the provider deletes the files.
FILE_SECONDS = 3 * 86_400
#: Seconds after which a reservation expires.
RESERVATION_SECONDS = 7 * 86_400
#: The metadata key of a batch's name.
NAME = "aura_batch"
#: Final states of a batch.
FINISHED = ("completed", "expired", "cancelled", "failed")


class Line(NamedTuple):
    """One ticket of a file: the text that is sent, the number of masked values by kind, and its line."""

    id: int
    sent: str
    masked: dict[str, int]
    line: bytes


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The state of a batch at the provider, and its files."""

    status: str
    output_file: str
    error_file: str

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


class BatchApi:
    """The Batch API with the masking, budget and guardrails of the remote engine. Every method may raise EngineError."""

    def __init__(self, engine: RemoteEngineWithFallback, settings: Settings) -> None:
        import openai

        assert isinstance(engine.remote, OpenAIEngine)
        assert settings.openai_api_key is not None
        self._engine, self._openai, self._settings = engine, engine.remote, settings
        self._client = openai.OpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url or "https://api.openai.com/v1",
            timeout=TIMEOUT,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(timeout=TIMEOUT, verify=https_context()),
        )

    def close(self) -> None:
        self._client.close()

    def prepare(self, requests: Sequence[ClassificationRequest]) -> list[Line]:
        """Return the line of each request."""
        return [self._line(request) for request in requests]

    def reserve(self, name: str, lines: Sequence[Line]) -> int:
        """Reserve the costs of the first lines, once per name. Returns the number of lines that the budget has room for."""
        stored = self._engine.shared_state.get(f"batch:{name}")
        if stored is not None:
            return int(json.loads(stored)["count"])
        sizes = [len(line.sent.encode()) + self._openai.instructions_bytes for line in lines]
        count, reservation = self._engine.budget.reserve_batch(self._openai.model, sizes, self._settings.ai_max_tokens)
        if count:
            note = json.dumps({"count": count, "keys": reservation.keys, "amount": reservation.amount})
            self._engine.shared_state.put(f"batch:{name}", note, RESERVATION_SECONDS)
        return count

    def settle(self, name: str, dollars: float) -> None:
        """Replace the reservation by the cost, in US dollars."""
        stored = self._engine.shared_state.get(f"batch:{name}")
        if stored is not None:
            reservation = json.loads(stored)
            self._engine.shared_state.delete(f"batch:{name}")
            self._engine.budget.settle(Reservation(tuple(reservation["keys"]), reservation["amount"]), dollars)

    def upload(self, name: str, lines: Sequence[Line]) -> str:
        """Return the provider's id of the file; a file of this name is not uploaded again."""
        file = f"{name}.jsonl"
        with self._errors():
            files = self._client.files.list(purpose="batch", order="desc", limit=100)
            for uploaded in islice(files, SEARCHED):
                if uploaded.filename == file:
                    return uploaded.id
            expires: Any = {"anchor": "created_at", "seconds": FILE_SECONDS}
            body = b"".join(line.line for line in lines)
            return self._client.files.create(file=(file, body), purpose="batch", expires_after=expires).id

    def submit(self, name: str, file: str) -> str:
        """Return the provider's id of the batch; a batch of this name is not submitted again."""
        with self._errors():
            for submitted in islice(self._client.batches.list(limit=100), SEARCHED):
                if (submitted.metadata or {}).get(NAME) == name:
                    return submitted.id
            expires: Any = {"anchor": "created_at", "seconds": FILE_SECONDS}
            return self._client.batches.create(
                input_file_id=file,
                endpoint=self._endpoint,
                completion_window="24h",
                metadata={NAME: name},
                output_expires_after=expires,
            ).id

    def status(self, batch: str) -> BatchStatus:
        """Return the state of a batch."""
        with self._errors():
            retrieved = self._client.batches.retrieve(batch)
            return BatchStatus(retrieved.status, retrieved.output_file_id or "", retrieved.error_file_id or "")

    def results(
        self, requests: Sequence[ClassificationRequest], files: Sequence[str]
    ) -> dict[int, Verdict | EngineError]:
        """Return the result of each request by its id; the first line of a request counts, other lines are ignored."""
        by_id = {str(request.id): request for request in requests}
        results: dict[int, Verdict | EngineError] = {}
        for file in filter(None, files):
            for line in self._lines(file):
                try:
                    result = json.loads(line)
                    request = by_id.get(result["custom_id"])
                except (ValueError, LookupError, TypeError):
                    continue
                if request is not None and request.id not in results:
                    results[request.id] = self._result(request, result)
        return results

    def _line(self, request: ClassificationRequest) -> Line:
        request, masked = self._engine.mask(request)
        # without a temperature, because a rejected line cannot be repeated
        body = json.dumps(
            {"custom_id": str(request.id), "method": "POST", "url": self._endpoint, "body": self._openai.body(request)}
        )
        return Line(request.id, self._openai.outbound_text(request), masked, body.encode() + b"\n")

    @property
    def _endpoint(self) -> Any:
        return f"/v1{self._openai.path}"

    def _lines(self, file: str) -> Iterator[bytes]:
        """Yield the lines of a file, without those of more than ``LONGEST_ANSWER`` bytes."""
        with self._errors(), self._client.files.with_streaming_response.content(file) as response:
            line, skipping = bytearray(), False
            for chunk in response.iter_bytes(65_536):
                first, *others = chunk.split(b"\n")
                line += first
                for other in others:
                    if line and not skipping and len(line) <= LONGEST_ANSWER:
                        yield bytes(line)
                    line, skipping = bytearray(other), False
                if len(line) > LONGEST_ANSWER:
                    line, skipping = bytearray(), True
            if line and not skipping:
                yield bytes(line)

    def _result(self, request: ClassificationRequest, result: dict[str, Any]) -> Verdict | EngineError:
        try:
            response = result["response"]
            if response is None or response["status_code"] != 200:
                status = response["status_code"] if response else (result.get("error") or {}).get("code", "no answer")
                return EngineError(f"the batch answered {str(status)[:80]}", permanent=False, sent=True)
            verdict = self._openai.verdict(self._openai.reply(response["body"]))
        except EngineError as error:
            return error
        except Exception as error:
            return engine_error(error, TIMEOUT)
        dollars = cost(self._openai.model, verdict.input_tokens, verdict.output_tokens, batch=True)
        [local] = self._engine.local.classify([request])
        return self._engine.apply_guardrails(verdict._replace(cost=dollars), local)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise EngineError for every exception of the block."""
        try:
            yield
        except EngineError:
            raise
        except Exception as error:
            # `from None`: the cause holds the request, and with it the tickets and the key
            raise engine_error(error, TIMEOUT) from None
