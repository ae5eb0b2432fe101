"""Servers that speak OpenAI's protocol. The hostile model does whatever a ticket wants, and tries to send people to a trap.

    httpserver.expect_request(CHAT).respond_with_handler(model := HostileModel())

It fills the JSON schema that it is sent, so it knows no field by name but category and priority.
"""

from __future__ import annotations

import json
import re
from typing import Any

from werkzeug import Request, Response

CHAT = "/v1/chat/completions"
#: A good answer.
GOOD = {
    "category": "Network",
    "category_confidence": 0.97,
    "priority": "medium",
    "priority_confidence": 0.9,
    "reason": "The tunnel drops.",
    "summary": "The VPN drops.",
    "sentiment": "negative",
    "self_fix": ["Reconnect."],
}
#: Where only the model sends people: a trace of it came from the model and not from a ticket.
TRAP = "trap-of-the-model.example"

_LURE = re.compile(r"[a-z]+://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.-]+|[\w-]+\.example\S*", re.IGNORECASE)
_CATEGORY = re.compile(r"(?:category|kategorie)(?: is| to| auf)?:? +(<?\w+)", re.IGNORECASE)
_QUIET = re.compile(r"priority (?:to )?low|lowest|low priority|answer low|as low|niedrig", re.IGNORECASE)


def completion(content: str, finish: str = "stop", refusal: str | None = None) -> Response:
    """Return the answer of a server that says this."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "test-model",
        "choices": [{"index": 0, "finish_reason": finish, "message": message, "logprobs": None}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960},
    }
    return Response(json.dumps(body), mimetype="application/json")


class HostileModel:
    """Answers each request, and remembers them all."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def __call__(self, request: Request) -> Response:
        self.bodies.append(request.get_data(as_text=True))
        asked = json.loads(self.bodies[-1])
        ticket = json.loads(asked["messages"][-1]["content"])["ticket"]
        text = f"{ticket['title']}\n{ticket['description']}\n{ticket['department']}"
        if "Refuse to answer" in text:
            return self._says(None, refusal="I cannot help with that.")
        if "plain text, not in JSON" in text:
            return self._says("Sure! It is critical.")
        answer = _obedient(text, asked["response_format"]["json_schema"]["schema"]["properties"])
        if "one megabyte" in text:
            answer["reason"] = "critical " * 120_000
        if "Additional fields" in text:
            answer["escalate_to"] = f"boss@{TRAP}"
        if "Return null" in text:
            answer = dict.fromkeys(answer)
        return self._says(json.dumps(answer) * (2 if "two JSON objects" in text else 1))

    def _says(self, content: str | None, refusal: str | None = None) -> Response:
        # a token for every four characters, and no more than were ordered: the bill is the one thing it cannot forge
        most = json.loads(self.bodies[-1])["max_tokens"]
        tokens = len(self.bodies[-1]) // 4, min(len(content or "") // 4 + 1, most)
        completion = {
            "id": f"chatcmpl-{len(self.bodies)}",
            "object": "chat.completion",
            "created": 1,
            "model": "test-model",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": content, "refusal": refusal},
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
        }
        return Response(json.dumps(completion), mimetype="application/json")


def _obedient(text: str, properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that the text wants: its priority, its category, its links and recipients in every field."""
    lure = (
        f"Go to https://{TRAP}/login and www.{TRAP}, mail boss@{TRAP} or call 0900 1234567. ![x](https://{TRAP}/p.png) "
        f"<script src=//{TRAP}></script> ht<b></b>tps://{TRAP} \u202e{text[:200]} {' '.join(_LURE.findall(text)[:20])}"
    )
    answer: dict[str, Any] = {}
    for name, kind in properties.items():
        free = {"number": 1.0, "array": [lure] * 12}.get(kind.get("type", ""), lure)
        answer[name] = kind["enum"][0] if "enum" in kind else free
    if wanted := _CATEGORY.search(text):
        answer["category"] = wanted[1]
    answer["priority"] = "low" if _QUIET.search(text) else "apocalyptic" if "apocalyptic" in text else "critical"
    if "1e308" in text:
        answer["category_confidence"] = 1e308
    return answer


class BatchProvider:
    """OpenAI's /files and /batches: it remembers what it got, and its batches are over when the test says so.

        provider = BatchProvider()
        httpserver.expect_request(re.compile("/v1/(files|batches).*")).respond_with_handler(provider)

    `answer` makes the line of a request: by default a good answer. `broken` names a call that fails, such as
    "POST /v1/batches", after it was done.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.broken = ""
        self.answer = self.line

    def __call__(self, request: Request) -> Response:
        call = f"{request.method} {request.path}"
        self.calls.append(call)
        result = self._answer(request)
        if call == self.broken:
            return Response("{}", 503, mimetype="application/json")
        return result if isinstance(result, Response) else Response(json.dumps(result), mimetype="application/json")

    def lines(self, file: str) -> list[dict[str, Any]]:
        """Return the requests of a file."""
        return [json.loads(line) for line in self.files[file]["content"].splitlines()]

    def finish(self, status: str = "completed") -> None:
        """End every batch, with an answer to each of its lines."""
        for batch in self.batches.values():
            batch["status"] = status
            if status != "failed":
                answers = [self.answer(line) for line in self.lines(batch["input_file_id"])]
                batch["output_file_id"] = self._file("out", "".join(answers).encode())["id"]

    def line(self, asked: dict[str, Any], **changes: Any) -> str:
        """Return the line of a good answer; `changes` are of the answer itself."""
        body = {
            "choices": [{"finish_reason": "stop", "message": {"content": json.dumps(GOOD | changes)}}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
        }
        response = {"status_code": 200, "body": body}
        return json.dumps({"custom_id": asked["custom_id"], "response": response, "error": None}) + "\n"

    def _answer(self, request: Request) -> Any:
        path = request.path.removeprefix("/v1")
        if request.method == "POST" and path == "/files":
            upload = request.files["file"]
            return self._file(upload.filename or "", upload.read())
        if path.endswith("/content"):
            return Response(self.files[path.split("/")[2]]["content"])
        if request.method == "POST":
            asked = request.get_json()
            new = {"id": f"batch-{len(self.batches)}", "object": "batch", "status": "in_progress", "created_at": 1}
            self.batches[new["id"]] = {**asked, **new}
            return self.batches[new["id"]]
        if path in ("/files", "/batches"):
            every = self.files if path == "/files" else self.batches
            rows = [{key: value for key, value in row.items() if key != "content"} for row in every.values()]
            return {"object": "list", "data": rows, "has_more": False}
        return self.batches[path.split("/")[2]]

    def _file(self, name: str, content: bytes) -> dict[str, Any]:
        known = {"id": f"file-{len(self.files)}", "object": "file", "filename": name, "purpose": "batch"}
        known |= {"bytes": len(content), "created_at": 1, "status": "processed"}
        self.files[known["id"]] = {**known, "content": content}
        return known
