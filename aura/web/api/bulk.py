"""Bulk creation of tickets: one JSON object per line, one answer per line; both directions are streamed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from aura.errors import AuraError
from aura.web.api.tickets import IdempotencyKey, read_ticket
from aura.web.auth.requirements import Submitter
from aura.web.body_limit import BODY_LIMIT
from aura.web.group_commit import BATCH, BATCH_BYTES, CreateRequest, Result, store
from aura.web.media_types import require_json_lines
from aura.web.problems import status_of
from aura.web.slots import BULKS
from db.idempotency import use_of

router = APIRouter(prefix="/tickets", tags=["tickets"])

#: The most lines of a request, and seconds within which its next part must arrive.
MAX_LINES, READ_TIMEOUT = 50_000, 30.0


class BulkResponse(Response):
    """Stores lines as they arrive and streams an answer to each; the client need not read before it has sent all."""

    media_type = "application/x-ndjson"

    def __init__(self, request: Request, client: str, key: str | None) -> None:
        BULKS.acquire(client)
        super().__init__()
        del self.headers["content-length"]
        self._request, self._client, self._key = request, client, key
        # bounded by MAX_LINES alone: a client that sends everything before it reads must not block itself and us
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = asyncio.create_task(self._read())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (answer := await self._answers.get()) is not None:
                line = json.dumps(answer).encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            reader.cancel()
            BULKS.release(self._client)

    async def _read(self) -> None:
        total: dict[str, Any] = {"done": False, "lines": 0, "accepted": 0}
        batch: list[tuple[int, bytes]] = []
        size = 0
        try:
            async for line in _lines(self._request):
                total["lines"] += 1
                if total["lines"] > MAX_LINES:
                    raise _Stopped(f"a request has at most {MAX_LINES} lines; send the rest in another request")
                batch.append((total["lines"], line))
                size += len(line)
                if len(batch) >= BATCH or size >= BATCH_BYTES:
                    total["accepted"] += await self._store(batch)
                    batch, size = [], 0
            total["accepted"] += await self._store(batch)
            total["done"] = True
        except _Stopped as error:
            total["detail"] = str(error)
        except (ClientDisconnect, TimeoutError):
            total["detail"] = "the rest of the request did not arrive"
        finally:
            self._answers.put_nowait(total)
            self._answers.put_nowait(None)

    async def _store(self, lines: list[tuple[int, bytes]]) -> int:
        answers = await run_in_threadpool(_store, lines, self._client, self._key)
        for answer in answers:
            self._answers.put_nowait(answer)
        if any(answer.get("status") == 503 for answer in answers):
            raise _Stopped("the database does not answer; send the lines without an id again")
        return sum("id" in answer for answer in answers)


class _Stopped(Exception):
    """Why the rest of the lines is not read."""


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines that are not empty. Raises _Stopped for a line that is too long."""
    rest = b""
    chunks = request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks), READ_TIMEOUT)
        except StopAsyncIteration:
            break
        *complete, rest = (rest + chunk).split(b"\n")
        for line in (*complete, rest):
            if len(line) > BODY_LIMIT:
                raise _Stopped(f"a line has at most {BODY_LIMIT} bytes")
        for line in complete:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def _store(lines: list[tuple[int, bytes]], client: str, key: str | None) -> list[dict[str, Any]]:
    answers: dict[int, dict[str, Any]] = {}
    requests: list[tuple[int, CreateRequest]] = []
    for number, line in lines:
        read = read_ticket(line)
        if isinstance(read, JSONResponse):
            problem = json.loads(bytes(read.body))
            answers[number] = {"status": problem["status"], "detail": problem["detail"]}
        else:
            # a line has a key of its own, so that a request that broke off can be sent again
            use = use_of(client, key, hashlib.sha256(line).hexdigest(), number) if key else None
            requests.append((number, CreateRequest(*read, use, client, len(line))))
    results = store([request for _, request in requests]) if requests else []
    for (number, _), result in zip(requests, results, strict=True):
        answers[number] = _answer(result)
    return [{"line": number} | answers[number] for number, _ in lines]


def _answer(result: Result) -> dict[str, Any]:
    if isinstance(result, int):
        return {"id": result, "url": f"/api/v1/tickets/{result}"}
    if isinstance(result, AuraError):
        return {"status": status_of(type(result)), "detail": str(result), **result.members}
    if isinstance(result, SQLAlchemyError):
        return {"status": 503, "detail": "the ticket was not stored; send it again"}
    raise result


@router.post(
    "/bulk",
    status_code=200,
    summary="Create many tickets",
    response_class=BulkResponse,
    responses={
        200: {"content": {"application/x-ndjson": {"example": '{"line": 1, "id": 17, "url": "/api/v1/tickets/17"}\n'}}}
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": '{"title": "VPN drops"}\n'}},
        }
    },
)
async def create_tickets(request: Request, who: Submitter, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a ticket from each line, and answer each line with the ticket's id or a problem.

    The last line says whether all lines were read. With an `Idempotency-Key` the whole request may be sent again.
    """
    require_json_lines(request)
    return BulkResponse(request, who.name, idempotency_key)
