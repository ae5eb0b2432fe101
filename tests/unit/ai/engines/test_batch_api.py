"""The Batch API against a server: what is sent, what is not sent twice, and which lines count."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines import factory
from aura.ai.engines.batch_api import BatchApi, Line
from aura.ai.engines.openai import LONGEST_ANSWER
from tests.openai_server import BatchProvider

pytestmark = pytest.mark.usefixtures("sqlite")

SECRET = "ada.lovelace@example.com"
REQUESTS = [ClassificationRequest(f"VPN drops {number}", f"Mail {SECRET}", id=number) for number in (1, 2, 3)]


@pytest.fixture
def provider(httpserver: HTTPServer) -> BatchProvider:
    provider = BatchProvider()
    httpserver.expect_request(re.compile(r"/v1/(files|batches).*")).respond_with_handler(provider)
    return provider


@pytest.fixture
def api(httpserver: HTTPServer, provider: BatchProvider, configure: Callable[..., Any]) -> Iterator[BatchApi]:
    settings = configure(OPENAI_API_KEY="key", OPENAI_BASE_URL=httpserver.url_for("/v1"))
    engine: Any = factory.make_engine(settings, lambda: 0.0)
    api = BatchApi(engine, settings)
    yield api
    api.close()
    factory.reset()


def results(api: BatchApi, *files: str) -> dict[int, Verdict | EngineError]:
    return api.results(REQUESTS, files)


def answer(provider: BatchProvider, *lines: str) -> str:
    """Store a file of the provider. Returns its id."""
    file: str = provider._file("out", "".join(lines).encode())["id"]
    return file


def test_a_line_is_the_masked_question_of_its_ticket(api: BatchApi):
    lines = api.prepare(REQUESTS)

    assert [line.id for line in lines] == [1, 2, 3]
    for line in lines:
        assert SECRET not in line.sent and SECRET.encode() not in line.line
        assert line.masked and line.line.endswith(b"\n")
        assert json.loads(line.line)["custom_id"] == str(line.id)


def test_a_file_and_a_batch_of_a_name_are_sent_once(api: BatchApi, provider: BatchProvider):
    lines = api.prepare(REQUESTS)

    files = [api.upload(name, lines) for name in ("batch-a", "batch-a", "batch-b")]
    batches = [api.submit(name, files[0]) for name in ("batch-a", "batch-a", "batch-b")]

    assert files[0] == files[1] != files[2]
    assert batches[0] == batches[1] != batches[2]
    assert [len(provider.files), len(provider.batches)] == [2, 2]


def test_a_reservation_of_a_name_is_made_once_and_settled_once(api: BatchApi):
    lines: list[Line] = api.prepare(REQUESTS)
    budget: Any = api._engine.shared_state

    def reserved() -> int:
        return sum(value for key, value in budget._counters.items() if key.startswith("costs:"))

    assert [api.reserve("batch-a", lines), api.reserve("batch-a", lines[:1])] == [3, 3]
    assert reserved() > 0
    api.settle("batch-a", 0.0)
    api.settle("batch-a", 5.0)
    assert reserved() == 0


def test_a_batch_is_finished_when_the_provider_says_so(api: BatchApi, provider: BatchProvider):
    batch = api.submit("batch-a", api.upload("batch-a", api.prepare(REQUESTS)))
    assert not api.status(batch).finished
    provider.finish("completed")

    status = api.status(batch)
    assert status.finished and status.output_file and status.error_file == ""
    found = results(api, status.output_file, status.error_file)
    assert {number: getattr(each, "engine", each) for number, each in found.items()} == dict.fromkeys(
        (1, 2, 3), "openai"
    )


def test_the_first_line_of_a_request_counts_and_foreign_and_broken_lines_do_not(api: BatchApi, provider: BatchProvider):
    first, second = ({"custom_id": str(number)} for number in (1, 99))
    file = answer(
        provider,
        "not json\n",
        "[]\n",
        "7\n",
        "{}\n",
        provider.line(second),
        provider.line(first),
        provider.line(first, category="Email"),
    )

    found = results(api, file)

    assert found.keys() == {1}
    verdict = found[1]
    assert isinstance(verdict, Verdict) and verdict.category == "Network"


def test_a_line_that_is_too_long_is_left_out_and_the_next_is_read(api: BatchApi, provider: BatchProvider):
    long = provider.line({"custom_id": "1"}, reason="x" * (LONGEST_ANSWER + 1))

    assert results(api, answer(provider, long, provider.line({"custom_id": "2"}))).keys() == {2}


def test_a_refused_line_is_the_error_of_its_request_alone(api: BatchApi, provider: BatchProvider):
    refused = {
        "custom_id": "1",
        "response": {"status_code": 400, "body": {"error": {"message": SECRET}}},
        "error": None,
    }

    found = results(api, answer(provider, json.dumps(refused) + "\n", provider.line({"custom_id": "2"})))

    assert isinstance(found[1], EngineError) and SECRET not in str(found[1])
    assert isinstance(found[2], Verdict)


def test_a_failing_provider_is_an_engine_error(api: BatchApi, provider: BatchProvider):
    provider.broken = "GET /v1/files"

    with pytest.raises(EngineError) as failed:
        api.upload("batch-a", api.prepare(REQUESTS))
    assert not failed.value.permanent
