"""Body limits: size and time of request bodies, credentials before a large one is read, and the bytes of all in memory.

| body | before it is read | limits |
| --- | --- | --- |
| up to UNKNOWN_BODY | nothing | 30 seconds |
| larger, up to BODY_LIMIT | an API key or a session | AUTHENTICATED: bytes in memory, of a caller and in all |
| a mail, up to AURA_MAIL_LIMIT | the headers of its signature | MAILS: the same, of an address |
| a stream of lines, an upload | the route authenticates | those of the route |

The bytes count from their arrival to the end of the response, since parsing and storing take a multiple of them.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import HTTPException
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura.errors import AuraError, Overloaded, TooManyRequests
from aura.web.auth.identity import identify
from aura.web.media_types import is_json
from aura.web.problems import answer, answer_error
from db.text import VALUES_LIMIT, TooManyValues, require_few_values

#: The most bytes of a request body, and of one whose sender is not known.
BODY_LIMIT, UNKNOWN_BODY = 1_000_000, 16_000
#: Seconds within which a body must arrive.
BODY_SECONDS = 30.0
#: Paths that stream their body, with limits of their own.
STREAMED = frozenset({"/api/v1/tickets/bulk"})
STREAMED_UPLOADS = re.compile(r"/api/v1/tickets/\d+/attachments")


@dataclass(slots=True)
class Budget:
    """Bytes of request bodies in memory: at most `each` of a caller and `total` of all."""

    what: str
    each: int
    total: int
    _used: Counter[str] = field(default_factory=Counter, repr=False)

    def acquire(self, caller: str, size: int) -> None:
        """Count more bytes. Raises TooManyRequests, Overloaded."""
        if self._used[caller] + size > self.each:
            detail = f"your {self.what} in progress have more than {self.each} bytes, the limit of a caller: send fewer at once"
            raise TooManyRequests(detail, retry_after=1)
        if self._used.total() + size > self.total:
            raise Overloaded(
                f"the {self.what} in progress have more than {self.total} bytes, the limit of this process; try again",
                retry_after=1,
            )
        self._used[caller] += size

    def release(self, caller: str, size: int) -> None:
        """Give the bytes back."""
        self._used[caller] -= size
        if self._used[caller] <= 0:
            del self._used[caller]

    @property
    def used(self) -> int:
        """Bytes in memory."""
        return self._used.total()


@dataclass(frozen=True, slots=True)
class LargeBody:
    """Another limit of a path: in bytes, with its setting and a check of the request that comes before the body."""

    limit: int
    setting: str
    check: Callable[[Request], None]


class BodyLimit:
    """Middleware: answers 413 to a body that is too large, 408 to a slow one, 401, 429 and 503 as the module says."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, LargeBody] | None = None) -> None:
        self.app, self.larger = app, larger or {}
        self.authenticated = Budget("request bodies", 8 * BODY_LIMIT, 16 * BODY_LIMIT)
        most = max((each.limit for each in self.larger.values()), default=0)
        self.mails = Budget("mails", most, 2 * most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            # no database stores NUL, and PostgreSQL refuses it even in a comparison
            await answer(Request(scope), 422, "the URL must not contain the character NUL")(scope, receive, send)
            return
        if scope["type"] != "http" or scope["path"] in STREAMED or _is_upload(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(self, scope, receive)
        try:
            refused = await body.read()
            if refused is not None:
                await refused(scope, receive, send)
            elif not body.disconnected:
                await self.app(scope, body.replay, send)
        finally:
            body.release()


class _Body:
    """The body of one request."""

    def __init__(self, limits: BodyLimit, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._large = limits.larger.get(scope["path"])
        self._budget = limits.authenticated if self._large is None else limits.mails
        self._limit = BODY_LIMIT if self._large is None else self._large.limit
        self._data = bytearray()
        #: Who sends it; empty until the sender is known.
        self._caller = ""
        self._counted = 0
        self._sent = False
        self.disconnected = False

    async def read(self) -> Response | None:
        """Read the body. Returns the response if it is refused."""
        try:
            refused = await self._read()
        except AuraError as error:
            return answer_error(Request(self._scope), error)
        except HTTPException as error:
            refused = error.status_code, str(error.detail), dict(error.headers or {})
        return None if refused is None else answer(Request(self._scope), *refused)

    async def _read(self) -> tuple[int, str, dict[str, str]] | None:
        """Read the body. Returns status, detail and headers if it is refused. Raises HTTPException 401, AuraError."""
        announced = next((value for name, value in self._scope["headers"] if name == b"content-length"), b"0")
        size = int(announced) if announced.isdigit() and len(announced) < 19 else 0
        if size > self._limit:
            return self._too_large()
        if size > UNKNOWN_BODY:
            await self._require_caller()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        self.disconnected = True
                        return None
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    if len(self._data) + len(chunk) > self._limit:
                        return self._too_large()
                    if len(self._data) + len(chunk) > UNKNOWN_BODY:
                        await self._require_caller()
                        self._count(len(self._data) + len(chunk))
                    self._data += chunk
        except TimeoutError:
            return 408, f"the body did not arrive within {BODY_SECONDS:g} seconds", {"Connection": "close"}
        return self._too_many_values()

    async def _require_caller(self) -> None:
        if self._caller:
            return
        request = Request(self._scope)
        if self._large is not None:
            self._large.check(request)
            self._caller = request.client.host if request.client else "unknown"
            return
        # as a GET request: the CSRF token of a form is in the body, and the route looks at it
        reading = Request({**self._scope, "method": "GET"})
        scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
        self._caller = (await identify(reading, key if scheme.lower() == "bearer" else None)).name

    def _count(self, size: int) -> None:
        self._budget.acquire(self._caller, size - self._counted)
        self._counted = size

    def release(self) -> None:
        """Give the bytes back to the budget."""
        if self._counted:
            self._budget.release(self._caller, self._counted)

    def _too_large(self) -> tuple[int, str, dict[str, str]]:
        setting = f" ({self._large.setting})" if self._large is not None else ""
        return 413, f"the body has more than {self._limit} bytes{setting}", {}

    def _too_many_values(self) -> tuple[int, str, dict[str, str]] | None:
        if len(self._data) > VALUES_LIMIT and self._large is None and is_json(Request(self._scope)):
            try:
                require_few_values(bytes(self._data))
            except TooManyValues as error:
                return 422, f"{error}; send fewer", {}
        return None

    async def replay(self) -> Message:
        """Return the body as one message, then what the connection receives."""
        if self._sent:
            return await self._receive()
        self._sent = True
        body, self._data = bytes(self._data), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}


def _is_upload(scope: Scope) -> bool:
    """Return whether the route reads the body in parts. A form is read as a whole, for its CSRF token."""
    if scope["method"] != "POST" or not STREAMED_UPLOADS.fullmatch(scope["path"]):
        return False
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return not content_type.strip().lower().startswith(b"application/x-www-form-urlencoded")
