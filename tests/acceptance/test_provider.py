"""A provider that fails in every known way: each ticket gets a verdict, nobody is notified twice, the budget holds."""

from __future__ import annotations

import csv
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.acceptance.conftest import Installation
from tests.openai_server import CHAT, GOOD, completion
from tests.services import wait_until


class Provider:
    """Fails in a different way each time, until `healed` is set."""

    def __init__(self) -> None:
        self.healed = threading.Event()
        self.closing = threading.Event()
        self.calls = 0
        self._faults = itertools.cycle(
            [
                lambda: completion('{"category": "Netw'),
                lambda: Response("<html>not JSON at all", mimetype="application/json"),
                lambda: completion(json.dumps(GOOD | {"category": "Weather"})),
                lambda: completion("", refusal="I cannot help with that."),
                lambda: completion('{"category": "Network", "rea', finish="length"),
                lambda: completion(json.dumps(GOOD | {"reason": "x" * 10_000_000})),
                lambda: Response('{"error": {"message": "slow down"}}', 429, {"Retry-After": "1"}),
                lambda: Response('{"error": {"message": "broken"}}', 500),
                self._hang,
                lambda: Response(self._drip(), mimetype="application/json"),
                lambda: Response('{"error": {"message": "broken"}}', 502),
            ]
        )

    def __call__(self, _request: Request) -> Response:
        self.calls += 1
        return completion(json.dumps(GOOD)) if self.healed.is_set() else next(self._faults)()

    def _hang(self) -> Response:
        self.closing.wait(5)
        return Response(status=503)

    def _drip(self) -> Iterator[str]:
        for letter in json.dumps(GOOD) * 10:
            if self.closing.wait(0.2):
                return
            yield letter


def tickets(folder: Path, name: str, count: int) -> Path:
    file = folder / name
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["external_id", "title", "description", "requester"])
        for number in range(count):
            text = f"The VPN tunnel of site {name} {number} drops every few minutes"
            writer.writerow([f"{name}-{number}", f"VPN {number} drops", text, f"user{number}@example.com"])
    return file


def test_every_ticket_gets_a_verdict_when_the_provider_fails(
    build: Callable[..., Installation], sqlite_url: str, httpserver: HTTPServer, tmp_path: Path
) -> None:
    provider = Provider()
    httpserver.expect_request(CHAT, method="POST").respond_with_handler(provider)
    settings: dict[str, Any] = {
        "DATABASE_URL": sqlite_url,
        "OPENAI_API_KEY": "sk-acceptance-secret",
        "OPENAI_BASE_URL": httpserver.url_for("/v1"),
        "AI_MODEL": "test-model",
        "AI_TIMEOUT": "1",
        "AURA_AI_BUDGET_DAY": "0.5",
    }
    installation = build(**settings)
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    try:
        # Given a provider that fails, each time in another way
        wait_until(
            lambda: not _openai_gives_the_next_verdict(installation, tmp_path, 8) and _outcomes(installation) > 7,
            180,
            "every failure",
        )
        wait_until(
            lambda: not _openai_gives_the_next_verdict(installation, tmp_path, 2) and _breaker_has_opened(installation),
            180,
            "the breaker opens",
        )
        assert installation.rows("SELECT DISTINCT engine FROM verdicts") == [("local",)]
        assert installation.rows("SELECT count(*) FROM verdicts WHERE fallback = ''") == [(0,)]
        # When it works again
        provider.healed.set()
        wait_until(lambda: _openai_gives_the_next_verdict(installation, tmp_path, 1), 180, "the breaker closes")
        # Then nobody was notified twice, and the cost stayed within the budget
        installation.check_each_once()
        assert 0 < installation.scalar("SELECT sum(cost) FROM ai_calls") <= 0.5
        assert _outcomes(installation) > 8
        assert installation.rows("SELECT count(*) FROM dead_letters") == [(0,)]
    finally:
        provider.closing.set()


_batch = itertools.count()


def _openai_gives_the_next_verdict(installation: Installation, folder: Path, count: int) -> bool:
    """Import some tickets and return whether the last verdict is OpenAI's."""
    before = installation.scalar("SELECT count(*) FROM tickets")
    installation.aura("import", str(tickets(folder, f"b{next(_batch)}.csv", count)))
    installation.wait_until_notified(before + count)
    return bool(installation.scalar("SELECT engine FROM verdicts ORDER BY id DESC LIMIT 1") == "openai")


def _outcomes(installation: Installation) -> int:
    """Return the number of different outcomes of calls."""
    return int(installation.scalar("SELECT count(DISTINCT outcome) FROM ai_calls"))


def _breaker_has_opened(installation: Installation) -> bool:
    """Return whether a verdict names the open circuit breaker as the reason of its fallback."""
    return bool(installation.scalar("SELECT count(*) FROM verdicts WHERE fallback LIKE '%circuit breaker%'"))


@pytest.mark.usefixtures("one_day")
def test_provider_calls_stay_within_the_budget(
    build: Callable[..., Installation], sqlite_url: str, httpserver: HTTPServer, tmp_path: Path
) -> None:
    provider = Provider()
    provider.healed.set()
    httpserver.expect_request(CHAT, method="POST").respond_with_handler(provider)
    budget = 0.03
    installation = build(
        DATABASE_URL=sqlite_url,
        OPENAI_API_KEY="sk-acceptance-secret",
        OPENAI_BASE_URL=httpserver.url_for("/v1"),
        AI_MODEL="test-model",
        AURA_AI_BUDGET_DAY=str(budget),
    )
    running = installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    installation.aura("import", str(tickets(tmp_path, "a.csv", 60)))
    installation.wait_until_notified(60)

    [(spent,)] = installation.rows("SELECT sum(cost) FROM ai_calls")
    assert 0 < spent <= budget
    engines = dict(installation.rows("SELECT engine, count(*) FROM verdicts GROUP BY engine"))
    assert engines["openai"] == provider.calls
    assert engines["local"] == 60 - provider.calls > 0
    assert installation.rows(
        "SELECT count(*) FROM verdicts WHERE engine = 'local' AND fallback NOT LIKE '%budget%'"
    ) == [(0,)]
    # A restarted process counts the cost of today
    calls = provider.calls
    assert running.terminate() == 0
    installation.start("again", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    installation.aura("import", str(tickets(tmp_path, "b.csv", 20)))
    installation.wait_until_notified(80)
    [(spent,)] = installation.rows("SELECT sum(cost) FROM ai_calls")
    assert spent <= budget
    assert provider.calls - calls <= 2
    installation.check_each_once()
