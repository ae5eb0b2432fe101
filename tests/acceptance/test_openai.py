"""A server with OpenAI's protocol classifies; when it fails, the local engine answers and records the reason."""

from __future__ import annotations

import json
from collections.abc import Callable

from pytest_httpserver import HTTPServer

from tests.acceptance.conftest import Installation

KEY = "sk-acceptance-secret"
ANSWER = {
    "category": "Security",
    "category_confidence": 0.97,
    "priority": "critical",
    "priority_confidence": 0.9,
    "reason": "A stranger asks for a password.",
}


def test_openai_classifies_and_the_local_engine_is_the_fallback(
    build: Callable[..., Installation], sqlite_url: str, httpserver: HTTPServer
) -> None:
    # Given a provider that answers once and is broken from then on
    message = {"role": "assistant", "content": json.dumps(ANSWER), "refusal": None}
    completion = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "test-model",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
    httpserver.expect_oneshot_request("/v1/chat/completions", method="POST").respond_with_json(completion)
    httpserver.expect_request("/v1/chat/completions").respond_with_json({"error": {"message": "broken"}}, status=500)
    installation = build(
        DATABASE_URL=sqlite_url,
        OPENAI_API_KEY=KEY,
        OPENAI_BASE_URL=httpserver.url_for("/v1"),
        AI_MODEL="test-model",
    )
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()

    # When a ticket comes in, OpenAI's verdict is the ticket's
    installation.aura("tickets", "create", "Somebody called and wanted my password", "--requester", "ada@example.com")
    installation.wait_until_notified(1)
    assert installation.rows("SELECT engine, category, priority, fallback FROM verdicts") == [
        ("openai", "Security", "critical", "")
    ]
    # When the next comes, the local engine answers at once
    installation.aura("tickets", "create", "VPN drops every ten minutes", "--requester", "bob@example.com")
    installation.wait_until_notified(2)
    [(engine, category, fallback)] = installation.rows(
        "SELECT engine, category, fallback FROM verdicts WHERE ticket_id = 2"
    )
    assert (engine, category) == ("local", "Network")
    assert fallback.startswith("openai: ")
    installation.check_each_once()
    # And the key is in no log and no row
    installation.programs[0].wait_for_output(f"http://127.0.0.1:{installation.port}")
    assert KEY not in installation.programs[0].output()
    assert KEY.encode() not in (installation.folder / "aura.db").read_bytes()
