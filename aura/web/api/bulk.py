"""Many tickets in one request: a JSON object a line, each with an answer of its own, in both directions as a stream."""

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

from aura.web.api.create import Key, this_is
from aura.web.auth.identity import Submitter
from aura.web.body_limit import BODY_LIMIT
from aura.web.group_commit import BATCH, CreateRequest, InProgress, KeyUsedBefore, store
from db.idempotency import KeyUse

router = APIRouter(prefix="/tickets", tags=["tickets"])

#: Lines of one request, and seconds in which the next piece of it must come.
LINES, IDLE = 50_000, 30.0


class Answers(Response):
    """Stores lines while they come in, and answers each; nobody need read an answer before the last line is sent."""

    media_type = "application/x-ndjson"

    def __init__(self, request: Request, key: str | None) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._request, self._key = request, key
        # unbounded but for the number of lines: a client that sends all before it reads must not block us, and itself
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        reading = asyncio.create_task(self._read())
        try:
            while (answer := await self._answers.get()) is not None:
                line = json.dumps(answer).encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            reading.cancel()

    async def _read(self) -> None:
        done: dict[str, Any] = {"done": False, "lines": 0, "accepted": 0}
        waiting: list[tuple[int, bytes]] = []
        try:
            async for line in _lines(self._request):
                done["lines"] += 1
                if done["lines"] > LINES:
                    raise _Ends(f"a request has {LINES} lines at most; send the rest in another one")
                waiting.append((done["lines"], line))
                if len(waiting) >= BATCH:
                    done["accepted"] += await self._store(waiting)
                    waiting = []
            done["accepted"] += await self._store(waiting)
            done["done"] = True
        except _Ends as error:
            done["detail"] = str(error)
        except (ClientDisconnect, TimeoutError):
            done["detail"] = "the rest of the request did not come"
        finally:
            self._answers.put_nowait(done)
            self._answers.put_nowait(None)

    async def _store(self, lines: list[tuple[int, bytes]]) -> int:
        answers = await run_in_threadpool(_store, lines, self._key)
        for answer in answers:
            self._answers.put_nowait(answer)
        if any(answer.get("status") == 503 for answer in answers):
            raise _Ends("the database is away; send the lines that were not accepted again")
        return sum("id" in answer for answer in answers)


class _Ends(Exception):
    """Why no more lines are read."""


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines that are not empty; one that is too long ends the request."""
    rest = b""
    pieces = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(pieces), IDLE)
        except StopAsyncIteration:
            break
        *whole, rest = (rest + piece).split(b"\n")
        for line in (*whole, rest):
            if len(line) > BODY_LIMIT:
                raise _Ends(f"a line may have {BODY_LIMIT} bytes")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def _store(lines: list[tuple[int, bytes]], key: str | None) -> list[dict[str, Any]]:
    answers: dict[int, dict[str, Any]] = {}
    reports: list[tuple[int, CreateRequest]] = []
    for number, line in lines:
        read = this_is(line)
        if isinstance(read, JSONResponse):
            said = json.loads(bytes(read.body))
            answers[number] = {"status": said["status"], "detail": said["detail"]}
        else:
            # the same line under the same key again is the same ticket, so a request that broke off may come again
            use = KeyUse(f"{key}#{number}", hashlib.sha256(line).hexdigest()) if key else None
            reports.append((number, CreateRequest(*read, use)))
    for (number, _), answer in zip(reports, store([report for _, report in reports]) if reports else [], strict=True):
        answers[number] = _says(answer)
    return [{"line": number} | answers[number] for number, _ in lines]


def _says(answer: int | Exception) -> dict[str, Any]:
    if isinstance(answer, int):
        return {"id": answer, "url": f"/api/v1/tickets/{answer}"}
    if isinstance(answer, KeyUsedBefore):
        return {"status": 422, "detail": "this line came otherwise under the same Idempotency-Key before"}
    if isinstance(answer, InProgress):
        return {"status": 409, "detail": "another request with this Idempotency-Key is being worked on"}
    if isinstance(answer, SQLAlchemyError):
        return {"status": 503, "detail": "it was not accepted; send it again"}
    raise answer


@router.post(
    "/bulk",
    status_code=200,
    summary="Report many tickets",
    response_class=Answers,
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
async def bulk(request: Request, _who: Submitter, idempotency_key: Key = None) -> Response:
    """Accept a JSON object a line, and answer each line with its ticket or with what is wrong with it.

    The last line says whether all lines were read. With an `Idempotency-Key`, a request that broke off may come again.
    """
    return Answers(request, idempotency_key)
