"""OpenAI engine: sends each ticket to OpenAI or a compatible server and reads a structured answer.

api.openai.com is called by the Responses API, a server at OPENAI_BASE_URL by Chat Completions, which compatible servers have.
AI_TIMEOUT bounds the whole call with connecting and reading: calls run on an event loop in a thread, because only there a
call can be cancelled while it reads.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from aura import retry_after
from aura.ai.engines.base import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.prompt import VERSION, conversation, system_prompt, ticket_message
from aura.ai.text.clean import clean, clean_line
from aura.settings import PRIORITIES, Settings
from aura.tls import https_context

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

#: Bytes of an answer that are read; an answer of AI_MAX_TOKENS has fewer.
LONGEST_ANSWER = 256_000
#: Characters of each text of an answer that are read.
LONGEST_TEXT = 1_000
SENTIMENTS = ("negative", "neutral", "positive")
#: Calls in flight for each client: httpcore looks at every connection of a client for each of its calls, and twice.
CALLS_OF_A_CLIENT = 20
#: Seconds without calls after a problem of the account (key, quota).
ACCOUNT_PAUSE = 120.0


class AnswerTooLong(Exception):
    """The server sent more than ``LONGEST_ANSWER`` bytes."""


class Reply(NamedTuple):
    """An answer by the schema, or why there is none, and its tokens."""

    parsed: Any
    refused: bool
    cut_off: bool
    input_tokens: int
    output_tokens: int


def answer_model(categories: Sequence[str]) -> type[BaseModel]:
    """Return the pydantic model of an answer, with categories and priorities as enumerations.

    The schema requires every field; an answer of a server without schema support may lack the last three.
    """
    literal: Any = Literal
    fields: dict[str, Any] = {
        "category": (literal[tuple(categories)], ...),
        "category_confidence": (float, ...),
        "priority": (literal[PRIORITIES], ...),
        "priority_confidence": (float, ...),
        "reason": (str, ...),
        "summary": (str, ""),
        "sentiment": (literal[SENTIMENTS], "neutral"),
        "self_fix": (list[str], []),
    }
    return create_model("Classification", __config__=ConfigDict(json_schema_extra=_without_defaults), **fields)


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


def _limit_answer() -> Any:
    """Return a response hook that stops reading a too long answer; a transport of our own would ignore proxy settings."""
    import httpx2

    class Limited(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            remaining = LONGEST_ANSWER
            async for chunk in self._stream:
                remaining -= len(chunk)
                if remaining < 0:
                    raise AnswerTooLong
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def hook(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = Limited(response.stream)

    return hook


class OpenAIEngine:
    """Classifies with OpenAI or a compatible server; the requests of one batch are sent concurrently."""

    name = "openai"

    def __init__(self, settings: Settings) -> None:
        # imported here: the import takes most of a second
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, pydantic_function_tool

        if settings.openai_api_key is None:
            raise EngineError("OPENAI_API_KEY is not set", permanent=True)
        self.model = settings.ai_model
        self.prompt_version = VERSION
        self._settings = settings
        self.answer = answer_model(settings.categories)
        strict: Any = pydantic_function_tool(self.answer)["function"]
        self._schema = strict["parameters"]
        # the schema is sent too, and every message costs a few tokens
        schema = json.dumps(self.answer.model_json_schema())
        self.instructions_bytes = len((system_prompt(settings.categories) + schema).encode()) + 100
        self.compatible = settings.openai_base_url is not None
        self.base_url = settings.openai_base_url or "https://api.openai.com/v1"
        self._sends_temperature = True
        self._sockets = DefaultAsyncHttpxClient, https_context()
        self._openai = AsyncOpenAI
        #: The clients of each event loop, taken in turn: their connections belong to the loop.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Iterator[AsyncOpenAI]] = WeakKeyDictionary()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="openai", daemon=True).start()

    def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            count = max(1, self._settings.ai_concurrency // CALLS_OF_A_CLIENT)
            self._clients[loop] = cycle([self._make_client() for _ in range(count)])
        return next(self._clients[loop])

    def _make_client(self) -> AsyncOpenAI:
        settings, (http_client, context) = self._settings, self._sockets
        assert settings.openai_api_key is not None
        return self._openai(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=self.base_url,
            timeout=settings.ai_timeout,
            max_retries=0,  # the job system retries
            http_client=http_client(
                timeout=settings.ai_timeout,
                verify=context,
                # an answer without compression has no more bytes than were counted
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_limit_answer()]},
            ),
        )

    def classify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per request, in order. Raises the first EngineError when any of them fails."""
        return asyncio.run_coroutine_threadsafe(self._classify_all(requests), self._loop).result()

    def outbound_text(self, request: ClassificationRequest) -> str:
        """Return the text about the ticket exactly as it is sent to the provider."""
        return ticket_message(request)

    async def _classify_all(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        outcomes = await asyncio.gather(*(self.classify_one(request) for request in requests), return_exceptions=True)
        verdicts: list[Verdict] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            verdicts.append(outcome)
        return verdicts

    async def classify_one(self, request: ClassificationRequest) -> Verdict:
        """Return the verdict on one request, on any event loop. Raises EngineError."""
        start = perf_counter()
        reply = await self._call_with_timeout(request)
        return self.verdict(reply)._replace(latency_ms=round((perf_counter() - start) * 1000, 1))

    def verdict(self, reply: Reply) -> Verdict:
        """Return the verdict of a reply. Raises EngineError if the reply has no usable answer."""
        if reply.refused:
            raise _unusable("the model refused to answer")
        if reply.cut_off:
            raise _unusable("the answer was cut off; raise AI_MAX_TOKENS")
        if reply.parsed is None:
            raise _unusable("the answer was empty")
        answer = reply.parsed
        return Verdict(
            category=answer.category,
            confidence=_share(answer.category_confidence),
            priority=answer.priority,
            priority_confidence=_share(answer.priority_confidence),
            reason=clean(answer.reason, LONGEST_TEXT),
            summary=clean_line(answer.summary, LONGEST_TEXT),
            sentiment=answer.sentiment,
            self_fix=tuple(clean_line(step, LONGEST_TEXT) for step in answer.self_fix[:10]),
            engine=self.name,
            model=self.model,
            prompt_version=VERSION,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )

    async def _call_with_timeout(self, request: ClassificationRequest) -> Reply:
        import openai

        try:
            async with asyncio.timeout(self._settings.ai_timeout):
                try:
                    return await self._call(request)
                except openai.BadRequestError as error:
                    # reasoning models reject a temperature; from the first rejection on it is not sent
                    if error.param != "temperature" or not self._sends_temperature:
                        raise
                    self._sends_temperature = False
                    return await self._call(request)
        except Exception as error:
            # `from None`: the cause holds the request, and with it the ticket and the key
            raise engine_error(error, self._settings.ai_timeout) from None

    async def _call(self, request: ClassificationRequest) -> Reply:
        import httpx2

        body = self.body(request)
        if self._sends_temperature:
            body["temperature"] = self._settings.ai_temperature
        # not the method `parse`: it makes the schema and looks at every type of the body again, for each call
        answer = await self._client().post(self.path, cast_to=httpx2.Response, body=body)
        return self.reply(json.loads(answer.content))

    @property
    def path(self) -> str:
        """The path of the API behind the base URL."""
        return "/chat/completions" if self.compatible else "/responses"

    def body(self, request: ClassificationRequest) -> dict[str, Any]:
        """Return the body of a request, without a temperature."""
        system, user = conversation(request, self._settings.categories)
        schema = {"name": self.answer.__name__, "strict": True, "schema": self._schema}
        if self.compatible:
            return {
                "model": self.model,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
                "response_format": {"type": "json_schema", "json_schema": schema},
                "max_tokens": self._settings.ai_max_tokens,
            }
        return {
            "model": self.model,
            "instructions": system,
            "input": user,
            "text": {"format": {"type": "json_schema", **schema}},
            "max_output_tokens": self._settings.ai_max_tokens,
            "store": False,
        }

    def reply(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply in the body of an answer. Raises ValidationError, and LookupError and more for a malformed body."""
        usage = body.get("usage") or {}
        if self.compatible:
            choice = body["choices"][0]
            message = choice["message"]
            text, refused = message.get("content"), bool(message.get("refusal"))
            cut_off = choice.get("finish_reason") == "length"
            if choice.get("finish_reason") == "content_filter":
                raise _unusable("the provider's content filter stopped the answer")
            tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
        else:
            parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
            text = "".join(part["text"] for part in parts if part["type"] == "output_text")
            refused = any(part["type"] == "refusal" for part in parts)
            cut_off = body.get("status") == "incomplete"
            tokens = usage.get("input_tokens"), usage.get("output_tokens")
        parsed = self.answer.model_validate_json(text) if text and not refused and not cut_off else None
        return Reply(parsed, refused, cut_off, *map(_count, tokens))


def _count(tokens: object) -> int:
    """Return the tokens of an answer; 0 for a value that is no number of tokens: the call then costs the most it can."""
    return tokens if type(tokens) is int and tokens >= 0 else 0


def _share(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def engine_error(error: Exception, timeout: float) -> EngineError:
    """Return the EngineError of an exception; its message holds nothing of the request or the answer."""
    import openai

    if isinstance(error, EngineError):
        return error
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        return EngineError(f"no answer within {timeout:g} s", permanent=False, sent=True, billed=True)
    if isinstance(error, openai.RateLimitError):
        if error.code == "insufficient_quota":
            return EngineError("the account's quota is used up", permanent=True, retry_after=ACCOUNT_PAUSE, sent=True)
        wait = retry_after.seconds(error.response.headers)
        return EngineError("too many requests (429)", permanent=False, retry_after=wait, sent=True, throttled=True)
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        if status in (401, 403):
            hint = f"the key was not accepted ({status}); check OPENAI_API_KEY"
            return EngineError(hint, permanent=True, retry_after=ACCOUNT_PAUSE, sent=True)
        if status == 404:
            hint = "model or address unknown (404); check AI_MODEL"
            return EngineError(hint, permanent=True, retry_after=ACCOUNT_PAUSE, sent=True)
        temporary = status >= 500 or status in (408, 409)
        wait = retry_after.seconds(error.response.headers) if temporary else None
        return EngineError(f"the server answered {status}", permanent=not temporary, retry_after=wait, sent=True)
    if isinstance(error, openai.APIConnectionError):
        return EngineError("the server cannot be reached", permanent=False, sent=True)
    if isinstance(error, AnswerTooLong):
        return _unusable("the answer was too long")
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        if "EOF" in str(problem.get("ctx", {}).get("error", "")):
            return _unusable("the answer was cut off; raise AI_MAX_TOKENS")
        field = str(problem["loc"][0]) if problem["loc"] and problem["loc"][0] in _FIELDS else "answer"
        return _unusable(f"the answer does not fit the schema ({field}: {problem['type']})")
    return _unusable(f"the answer cannot be read ({type(error).__name__})")


def _unusable(problem: str) -> EngineError:
    return EngineError(problem, permanent=True, sent=True, billed=True)


_FIELDS = (
    *("category", "category_confidence", "priority", "priority_confidence", "reason"),
    *("summary", "sentiment", "self_fix"),
)
