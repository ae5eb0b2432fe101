"""A hostile model behind OpenAI's protocol: it does whatever a ticket wants, and tries to send people to a trap.

    httpserver.expect_request(CHAT).respond_with_handler(model := HostileModel())

It fills the JSON schema that it is sent, so it knows no field by name but category and priority.
"""

from __future__ import annotations

import json
import re
from typing import Any

from werkzeug import Request, Response

CHAT = "/v1/chat/completions"
#: Where only the model sends people: a trace of it came from the model and not from a ticket.
TRAP = "trap-of-the-model.example"

_LURE = re.compile(r"[a-z]+://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.-]+|[\w-]+\.example\S*", re.IGNORECASE)
_CATEGORY = re.compile(r"(?:category|kategorie)(?: is| to| auf)?:? +(<?\w+)", re.IGNORECASE)
_QUIET = re.compile(r"priority (?:to )?low|lowest|low priority|answer low|as low|niedrig", re.IGNORECASE)


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
