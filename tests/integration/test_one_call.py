"""Several processes and one Redis: equal tickets cost one call, and no call is made beyond the budget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.services import free_port

ROOT = Path(__file__).parents[2]
PROCESSES = 3
#: A process that says when it is ready, is given tickets, and says what it answered.
WORKER = """
import json, sys
from aura.ai import ClassificationRequest, make_engine
from aura.settings import Settings
engine = make_engine(Settings(_env_file=None))
print("ready", flush=True)
asked = [ClassificationRequest(title, "It drops all the time", id=number) for number, title in json.loads(sys.stdin.readline())]
print(json.dumps([[v.engine, v.cached, v.cost, v.fallback] for v in engine.classify(asked)]))
"""
ANSWER = {"category": "Network", "category_confidence": 0.9, "priority": "medium", "priority_confidence": 0.9}
ANSWER |= {"reason": "It says VPN.", "summary": "The VPN drops.", "sentiment": "neutral", "self_fix": []}


def answer(_request: Request) -> Response:
    """Answer slowly enough that all processes ask meanwhile, without a word on tokens: the call costs the most it can."""
    time.sleep(0.3)
    message = {"role": "assistant", "content": json.dumps(ANSWER), "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "test-model", "choices": [choice]}
    return Response(json.dumps(body), mimetype="application/json")


def classify(
    httpserver: HTTPServer, tickets: Sequence[Sequence[tuple[int, str]]], **settings: str
) -> list[tuple[str, bool, float, str]]:
    """Let each process classify its tickets at the same time; return (engine, cached, cost, fallback) of all."""
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(answer)
    environment = {"PATH": os.environ["PATH"], "AI_MODEL": "test-model", "OPENAI_API_KEY": "sk-test"}
    environment |= {
        "AURA_ENV": "development",
        "OPENAI_BASE_URL": httpserver.url_for("/v1"),
        "AURA_AI_BUDGET_TICKET": "1",
    } | settings
    command, pipe = [sys.executable, "-c", WORKER], subprocess.PIPE
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in tickets
    ]
    try:
        assert [worker.stdout and worker.stdout.readline() for worker in workers] == ["ready\n"] * len(workers)
        for worker, asked in zip(workers, tickets, strict=True):
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(asked) + "\n")
            worker.stdin.flush()
        return [tuple(row) for worker in workers for row in json.loads(worker.communicate(timeout=180)[0])]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


@pytest.mark.integration
def test_equal_tickets_in_several_processes_cost_one_call(httpserver: HTTPServer, redis_url: str) -> None:
    same = [[(process + 1, "VPN drops")] for process in range(PROCESSES)]
    verdicts = classify(httpserver, same, REDIS_URL=redis_url)

    assert len(httpserver.log) == 1
    assert [engine for engine, *_ in verdicts] == ["openai"] * PROCESSES
    assert sum(cached for _, cached, *_ in verdicts) == PROCESSES - 1


@pytest.mark.integration
@pytest.mark.usefixtures("one_day")
def test_several_processes_stay_within_the_days_budget_together(httpserver: HTTPServer, redis_url: str) -> None:
    # Given what one call can cost at most
    [(_, _, most, _)] = classify(httpserver, [[(1, "VPN drops 10")]], REDIS_URL=redis_url)
    httpserver.clear_log()
    # When nine tickets come to three processes, and the day has room for five calls, one of which was made
    different = [[(n, f"VPN drops {n}") for n in range(20 + 3 * at, 23 + 3 * at)] for at in range(PROCESSES)]
    verdicts = classify(httpserver, different, REDIS_URL=redis_url, AURA_AI_BUDGET_DAY=str(most * 5.5))

    # Then four are made, and the local engine answers the others at once
    assert len(httpserver.log) == 4
    assert sum(cost for _, _, cost, _ in verdicts) <= most * 4.5
    local = [fallback for engine, _, _, fallback in verdicts if engine == "local"]
    assert len(local) == 5 and all("AURA_AI_BUDGET_DAY" in fallback for fallback in local)


@pytest.mark.integration
def test_while_redis_is_away_nobody_calls(httpserver: HTTPServer) -> None:
    tickets = [[(process + 1, f"VPN drops {process}")] for process in range(2)]
    verdicts = classify(httpserver, tickets, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert len(httpserver.log) == 0
    assert [engine for engine, *_ in verdicts] == ["local", "local"]
    assert all("Redis is unavailable" in fallback for *_, fallback in verdicts)
