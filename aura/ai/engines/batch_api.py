"""OpenAI's Batch API: many tickets in one file, answered within a day, at a part of the price.

    prepare -> reserve -> upload -> submit -> look (until it is over) -> answers -> settle

Everything that a live question passes holds here too: it is masked, its cost is reserved, its answer has to fit the
schema and stays within the bounds. A file and a batch carry our name for it, by which a step that was done and not
recorded is found again.
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
from aura.ai.engines.openai import LONGEST_ANSWER, OpenAIEngine, Reply, explain
from aura.ai.engines.prompt import conversation
from aura.ai.engines.remote import GuardedEngine
from aura.settings import Settings

#: Seconds that one request may take: files are large.
PATIENCE = 120.0
#: Files and batches, the newest, among which ours is looked for.
REMEMBERED = 1_000
#: Seconds after which the provider deletes the files.
KEPT = 3 * 86_400
#: Seconds for which a reservation is remembered.
RESERVED = 7 * 86_400
#: What a batch is called in its metadata.
NAME = "aura_batch"
#: States that a batch at the provider does not leave.
OVER = ("completed", "expired", "cancelled", "failed")


class Line(NamedTuple):
    """One ticket of a file: what is sent about it, how many of each kind were masked, and its line."""

    id: int
    sent: str
    masked: dict[str, int]
    line: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """How far the provider is with a batch."""

    status: str
    output_file: str
    error_file: str

    @property
    def over(self) -> bool:
        return self.status in OVER


class BatchApi:
    """The Batch API behind the guards of the live engine. Every method may raise EngineError."""

    def __init__(self, guarded: GuardedEngine, settings: Settings) -> None:
        import openai

        assert isinstance(guarded.remote, OpenAIEngine)
        assert settings.openai_api_key is not None
        self._guarded, self._engine, self._settings = guarded, guarded.remote, settings
        self._client = openai.OpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url or "https://api.openai.com/v1",
            timeout=PATIENCE,
            max_retries=0,
        )

    def close(self) -> None:
        self._client.close()

    def prepare(self, questions: Sequence[ClassificationRequest]) -> list[Line]:
        """Return the line of each question."""
        return [self._line(question) for question in questions]

    def reserve(self, name: str, lines: Sequence[Line]) -> int:
        """Reserve what the first lines cost at most, once. Returns how many of them there is room for."""
        known = self._guarded.store.get(f"batch:{name}")
        if known is not None:
            return int(json.loads(known)["count"])
        sizes = [len(each.sent.encode()) + self._engine.instructions_bytes for each in lines]
        count, held = self._guarded.budget.reserve_batch(self._engine.model, sizes, self._settings.ai_max_tokens)
        if count:
            note = json.dumps({"count": count, "keys": held.keys, "amount": held.amount})
            self._guarded.store.put(f"batch:{name}", note, RESERVED)
        return count

    def settle(self, name: str, spent: float) -> None:
        """Replace what was reserved by what was spent, in US dollars."""
        known = self._guarded.store.get(f"batch:{name}")
        if known is not None:
            said = json.loads(known)
            self._guarded.store.drop(f"batch:{name}")
            self._guarded.budget.settle(Reservation(tuple(said["keys"]), said["amount"]), spent)

    def upload(self, name: str, lines: Sequence[Line]) -> str:
        """Return the provider's id of the file; one that was uploaded under this name is not uploaded again."""
        file = f"{name}.jsonl"
        with self._asking():
            files = self._client.files.list(purpose="batch", order="desc", limit=100)
            for each in islice(files, REMEMBERED):
                if each.filename == file:
                    return each.id
            expires: Any = {"anchor": "created_at", "seconds": KEPT}
            body = b"".join(each.line for each in lines)
            return self._client.files.create(file=(file, body), purpose="batch", expires_after=expires).id

    def submit(self, name: str, file: str) -> str:
        """Return the provider's id of the batch; one that was submitted under this name is not submitted again."""
        with self._asking():
            for each in islice(self._client.batches.list(limit=100), REMEMBERED):
                if (each.metadata or {}).get(NAME) == name:
                    return each.id
            expires: Any = {"anchor": "created_at", "seconds": KEPT}
            return self._client.batches.create(
                input_file_id=file,
                endpoint=self._endpoint,
                completion_window="24h",
                metadata={NAME: name},
                output_expires_after=expires,
            ).id

    def look(self, batch: str) -> Look:
        """Return how far a batch is."""
        with self._asking():
            found = self._client.batches.retrieve(batch)
            return Look(found.status, found.output_file_id or "", found.error_file_id or "")

    def answers(
        self, questions: Sequence[ClassificationRequest], files: Sequence[str]
    ) -> dict[int, Verdict | EngineError]:
        """Return what the files say about each question; the first line about it counts, a strange one is passed over."""
        by_id = {str(question.id): question for question in questions}
        found: dict[int, Verdict | EngineError] = {}
        for file in filter(None, files):
            for line in self._lines(file):
                try:
                    said = json.loads(line)
                    question = by_id.get(said["custom_id"])
                except (ValueError, LookupError, TypeError):
                    continue
                if question is not None and question.id not in found:
                    found[question.id] = self._read(question, said)
        return found

    def _line(self, question: ClassificationRequest) -> Line:
        masked, found = self._guarded.masked(question)
        body = json.dumps(
            {"custom_id": str(question.id), "method": "POST", "url": self._endpoint, "body": self._body(masked)}
        )
        return Line(question.id, self._engine.sends(masked), found, body.encode() + b"\n")

    @property
    def _endpoint(self) -> Any:
        return "/v1/chat/completions" if self._engine.compatible else "/v1/responses"

    def _body(self, question: ClassificationRequest) -> dict[str, Any]:
        """Return the request as the live engine makes it; without a temperature, for nobody can ask again without it."""
        from openai import pydantic_function_tool

        system, user = conversation(question, self._settings.categories)
        strict: Any = pydantic_function_tool(self._engine.answer)["function"]
        schema = {"name": strict["name"], "strict": True, "schema": strict["parameters"]}
        if self._engine.compatible:
            return {
                "model": self._engine.model,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
                "response_format": {"type": "json_schema", "json_schema": schema},
                "max_tokens": self._settings.ai_max_tokens,
            }
        return {
            "model": self._engine.model,
            "instructions": system,
            "input": user,
            "text": {"format": {"type": "json_schema", **schema}},
            "max_output_tokens": self._settings.ai_max_tokens,
            "store": False,
        }

    def _lines(self, file: str) -> Iterator[bytes]:
        """Yield the lines of a file, but none that is longer than any real answer."""
        with self._asking(), self._client.files.with_streaming_response.content(file) as response:
            line, skipping = bytearray(), False
            for chunk in response.iter_bytes(65_536):
                first, *rest = chunk.split(b"\n")
                line += first
                for more in rest:
                    if line and not skipping and len(line) <= LONGEST_ANSWER:
                        yield bytes(line)
                    line, skipping = bytearray(more), False
                if len(line) > LONGEST_ANSWER:
                    line, skipping = bytearray(), True
            if line and not skipping:
                yield bytes(line)

    def _read(self, question: ClassificationRequest, said: dict[str, Any]) -> Verdict | EngineError:
        try:
            answer = said["response"]
            if answer is None or answer["status_code"] != 200:
                status = answer["status_code"] if answer else (said.get("error") or {}).get("code", "no answer")
                return EngineError(f"the batch says: {str(status)[:80]}", permanent=False, sent=True)
            verdict = self._engine.verdict(self._reply(answer["body"]))
        except EngineError as error:
            return error
        except Exception as error:
            return explain(error, PATIENCE)
        spent = cost(self._engine.model, verdict.input_tokens, verdict.output_tokens, batch=True)
        [local] = self._guarded.local.classify([question])
        return self._guarded.within_bounds(verdict._replace(cost=spent), local)

    def _reply(self, body: dict[str, Any]) -> Reply:
        parse = self._engine.answer.model_validate_json
        usage = body.get("usage") or {}
        if self._engine.compatible:
            choice = body["choices"][0]
            message = choice["message"]
            text, refused = message.get("content"), bool(message.get("refusal"))
            cut_off = choice.get("finish_reason") == "length"
            tokens = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        else:
            parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
            text = "".join(part["text"] for part in parts if part["type"] == "output_text")
            refused = any(part["type"] == "refusal" for part in parts)
            cut_off = body.get("status") == "incomplete"
            tokens = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
        return Reply(parse(text) if text and not refused and not cut_off else None, refused, cut_off, *tokens)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except EngineError:
            raise
        except Exception as error:
            # `from None`: the cause holds the request, and with it the tickets and the key
            raise explain(error, PATIENCE) from None
