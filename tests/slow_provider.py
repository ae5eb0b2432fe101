"""An AI provider that takes its time: answers hundreds of chat completions at once, each after some seconds, and counts them.

    with SlowProvider(seconds=1.0) as provider:
        ...  # OPENAI_BASE_URL = provider.url
        assert provider.figures().calls == 300

It runs in a process of its own, so a killed worker takes no count with it. `limit` is the most calls that it takes at once, and
`per_minute` the most in any minute; it answers 429 to the others.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.openai_server import GOOD
from tests.services import free_port, wait_until

ROOT = Path(__file__).parents[1]
#: Tokens of each answer.
USAGE = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}


@dataclass(frozen=True, slots=True)
class Figures:
    """What the provider has counted so far."""

    #: Calls that were answered with a verdict, and those that were refused.
    calls: int
    refused: int
    #: The most calls in flight at once.
    peak: int
    #: The most answered calls that began within one minute.
    most_per_minute: int
    #: How often each ticket was asked about, by its title.
    titles: dict[str, int]

    @property
    def repeated(self) -> int:
        """Calls about tickets that had been asked about before."""
        return self.calls - len(self.titles)


class SlowProvider:
    """The provider, as its user sees it."""

    def __init__(self, seconds: float = 1.0, limit: int = 0, per_minute: int = 0, retry_after: str = "") -> None:
        self.port = free_port()
        self._arguments = [str(each) for each in (self.port, seconds, limit, per_minute, retry_after)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def figures(self) -> Figures:
        """Return what it has counted so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/figures", timeout=60) as answer:
            return Figures(**json.load(answer))

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.slow_provider", *self._arguments]
        # it ends with this process, whose end closes the pipe
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        wait_until(self._answers, 120, "the provider does not answer", 0.1)
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def _answers(self) -> bool:
        try:
            return self.figures().calls == 0
        except OSError:
            return False


class _Server:
    def __init__(self, seconds: float, limit: int, per_minute: int, retry_after: str) -> None:
        self.seconds, self.limit, self.per_minute, self.retry_after = seconds, limit, per_minute, retry_after
        self.titles: Counter[str] = Counter()
        self.refused = self.in_flight = self.peak = self.most = 0
        self.began: deque[float] = deque()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                body = await reader.readexactly(length)
                status, answer = (200, self.figures()) if head.startswith(b"GET") else await self.complete(body)
                content = json.dumps(answer).encode()
                extra = f"Retry-After: {self.retry_after}\r\n" if status == 429 and self.retry_after else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def figures(self) -> dict[str, Any]:
        figures = Figures(self.titles.total(), self.refused, self.peak, self.most, dict(self.titles))
        return {name: getattr(figures, name) for name in Figures.__slots__}

    async def complete(self, body: bytes) -> tuple[int, dict[str, Any]]:
        now = time.monotonic()
        while self.began and now - self.began[0] >= 60:
            self.began.popleft()
        full = (self.limit and self.in_flight >= self.limit) or (self.per_minute and len(self.began) >= self.per_minute)
        if full:
            self.refused += 1
            return 429, {"error": {"message": "slow down"}}
        asked = json.loads(body)
        self.titles[json.loads(asked["messages"][-1]["content"])["ticket"]["title"]] += 1
        self.began.append(now)
        self.most = max(self.most, len(self.began))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        message = {"role": "assistant", "content": json.dumps(GOOD), "refusal": None}
        choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
        completion = {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
        }
        return 200, completion | {"usage": USAGE}


async def _run(port: int, server: _Server) -> None:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", port, backlog=1024)
    # the parent's end closes the pipe
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    listening.close()


if __name__ == "__main__":
    _port, _seconds, _limit, _per_minute, _retry_after = sys.argv[1:6]
    asyncio.run(_run(int(_port), _Server(float(_seconds), int(_limit), int(_per_minute), _retry_after)))
