"""External services: a mail server, a webhook receiver and an OpenAI server, which count every call and can fail.

They only count; the oracle judges what arrives twice.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from email.parser import BytesHeaderParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.acceptance.conftest import Mailbox
from tests.receiver import Arrived, Receiver, Reply

#: The label in the title of a ticket of the driver; it identifies the ticket of each call.
LABEL = re.compile(r"chaos-(\d+)\b")

#: Seconds that an answer takes, as in life; so that a process that dies often dies in the middle of a call.
LATENCY = 0.02


class PostOffice(Mailbox):
    """A real SMTP server: `received` counts by Message-ID, `tickets` and `recipients` say what each was about."""

    def __init__(self) -> None:
        #: Set while every mail is put off with a 451, as a greylisting or overloaded server does.
        self.busy = threading.Event()
        self.put_off = 0
        self.tickets: dict[str, int] = {}
        self._parser = BytesHeaderParser()
        super().__init__()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.busy.is_set():
            self.put_off += 1
            return "451 try again later"
        await asyncio.sleep(LATENCY)
        headers = self._parser.parsebytes(envelope.content)
        message_id = str(headers["Message-ID"]).strip()  # a long one has several lines
        about = re.search(r"ticket-(\d+)@", str(headers["References"]))
        self.tickets[message_id] = int(about[1]) if about else 0
        self.recipients[message_id] = envelope.rcpt_tos[0]
        self.received[message_id] += 1
        return "250 OK"


class Desk(Receiver):
    """Where a webhook and a Slack webhook lead: `received` counts what each path got, by its id or its text."""

    def __init__(self) -> None:
        self.received: dict[str, Counter[str]] = {"/webhook": Counter(), "/slack": Counter()}
        #: Paths where nothing is answered until the event is set.
        self.hanging: dict[str, threading.Event] = {}
        self._lock, self._never = threading.Lock(), threading.Event()
        super().__init__()
        self.reply = self._count

    def hang(self, path: str) -> threading.Event:
        """Answer nothing there until the event that is returned is set."""
        self.hanging[path] = threading.Event()
        return self.hanging[path]

    def _count(self, arrived: Arrived) -> Reply:
        self._never.wait(LATENCY)
        if arrived.path in self.hanging:
            self.hanging[arrived.path].wait()
        identity = arrived.headers.get("webhook-id") or json.loads(arrived.body)["text"]
        with self._lock:
            self.received[arrived.path][identity] += 1
        return Reply()

    def close(self) -> None:
        for each in self.hanging.values():
            each.set()
        super().close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        provider = self.server.provider
        if label := LABEL.search(body.decode(errors="replace")):
            with provider.lock:
                provider.asked[int(label[1])] += 1
        provider.broken.wait(LATENCY)
        if provider.broken.is_set():
            self._say(500, {"error": {"message": "broken", "type": "server_error"}})
            return
        verdict = {
            "category": "Hardware",
            "category_confidence": 0.9,
            "priority": "medium",
            "priority_confidence": 0.9,
            "reason": "A printer.",
        }
        message = {"role": "assistant", "content": json.dumps(verdict), "refusal": None}
        self._say(
            200,
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": "test-model",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            },
        )

    def _say(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing: the counts are what matters."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: Provider

    def handle_error(self, *_about: object) -> None:
        """Say nothing when a program was killed in the middle of a call."""


class Provider:
    """A server that speaks OpenAI's chat completions: `asked` counts the calls about each ticket."""

    def __init__(self) -> None:
        #: Set while every call is answered with a 500.
        self.broken = threading.Event()
        self.asked: Counter[int] = Counter()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="provider", daemon=True)
        self._thread.start()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that make Aura ask here."""
        url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return {"OPENAI_API_KEY": "sk-chaos", "OPENAI_BASE_URL": url, "AI_MODEL": "test-model"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
