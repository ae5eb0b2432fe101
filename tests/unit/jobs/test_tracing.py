"""The pipeline of a ticket is one trace: each job is a child of the job that enqueued it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest
from fastapi.testclient import TestClient
from pytest_httpserver import HTTPServer

import actors
from aura.jobs import tracing
from aura.jobs.rabbitmq.consumer import _traceparent
from aura.settings import SettingsError, get_settings
from aura.web.group_commit import CreateRequest, store
from db import preferences, tickets, traces, transaction
from db.jobs import NewJob
from db.models import Job, Notification
from db.new_tickets import NewTicket
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, enqueue, letters, move, web_app

pytestmark = pytest.mark.usefixtures("sqlite")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    tracing._tracer.cache_clear()
    yield
    tracing._tracer.cache_clear()


def accept(traceparent: str | None) -> int:
    with traces.within(traceparent), transaction() as session:
        (ticket_id,) = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="a@b.example"), {})])
        triage.send(ticket_id)
    return ticket_id


def client() -> TestClient:
    return TestClient(web_app(), "http://127.0.0.1:8000", client=("127.0.0.1", 50000))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The spans that were printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def tree(spans: list[dict[str, Any]]) -> dict[str, str]:
    """The name of each span's parent, by the span's own name; empty when the parent is somebody else's."""
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    return {span["name"]: names.get(span["parent_id"], "") for span in spans}


def test_the_trace_of_the_caller_goes_from_step_to_step(hand: Hand):
    accept(CALLER)

    seen = []
    while jobs := all_jobs():
        seen += [(job.actor, job.traceparent) for job in jobs]
        hand.relay()
        hand.work()

    assert {"intake", "classify", "notify", "email"} <= {actor for actor, _ in seen}
    assert {traces.trace_of(traceparent) for _, traceparent in seen} == {traces.trace_of(CALLER)}
    assert seen[0] == ("intake", CALLER)
    assert len({traceparent for _, traceparent in seen}) >= 4, "each step is a span of its own"


@pytest.mark.parametrize("header", [None, "", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", CALLER[:-1]])
def test_work_without_a_trace_begins_one(header: str | None):
    assert traces.trace_of(tracing.child(header))
    assert tracing.child(header) != tracing.child(header)


def test_a_request_and_all_that_comes_of_it_is_one_trace(
    hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    configure(DATABASE_URL=_url(), AURA_TRACES="console")
    answer = client().post(
        "/tickets", json={"title": "VPN drops", "requester": "a@b.example"}, headers={"traceparent": CALLER}
    )
    assert answer.status_code == 202
    hand.run()

    spans = printed(capsys)
    assert tree(spans) == {
        "POST /tickets": "",
        "intake": "POST /tickets",
        "classify": "intake",
        "notify": "classify",
        "email": "notify",
    }
    assert {span["context"]["trace_id"] for span in spans} == {"0x" + (traces.trace_of(CALLER) or "")}
    request = next(span for span in spans if span["name"] == "POST /tickets")
    assert request["parent_id"] == "0x" + CALLER.split("-")[2]
    assert request["attributes"]["http.response.status_code"] == 202


def test_each_request_has_its_own_trace_though_their_tickets_are_stored_together(hand: Hand):
    reports = []
    for _ in range(2):
        with traces.within(tracing.child(None)):
            reports.append(CreateRequest(NewTicket(title="VPN"), {}))
    answers = store(reports)
    assert len(answers) == len({traces.trace_of(job.traceparent) for job in all_jobs()}) == 2


def test_a_job_enqueued_by_a_page_belongs_to_the_trace_of_its_request(hand: Hand):
    ticket = accept(None)
    hand.run()
    asked = client().post(f"/api/v1/tickets/{ticket}/reanalyze", headers={"traceparent": CALLER})
    assert asked.status_code == 202
    assert {traces.trace_of(job.traceparent) for job in all_jobs()} == {traces.trace_of(CALLER)}


def test_a_message_s_ticket_stays_in_its_trace(hand: Hand):
    with traces.within(CALLER):
        enqueue(NewJob("receive", "message:1", ['{"title": "VPN drops"}']))
    hand.relay()
    hand.work()
    assert [(job.actor, traces.trace_of(job.traceparent)) for job in all_jobs()][:1] == [
        ("intake", traces.trace_of(CALLER))
    ]


@pytest.mark.parametrize(
    ("headers", "taken"),
    [(None, None), ({"traceparent": CALLER}, CALLER), ({"traceparent": "x" * 99}, None), ({"traceparent": b"x"}, None)],
)
def test_a_message_may_name_its_span(headers: dict[str, Any] | None, taken: str | None):
    assert _traceparent(pika.BasicProperties(headers=headers)) == taken


def test_the_last_spans_leave_when_a_worker_stops(configure: Callable[..., Any], httpserver: HTTPServer):
    httpserver.expect_request("/v1/traces", method="POST").respond_with_data(b"")
    configure(AURA_TRACES="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=httpserver.url_for(""))
    tracing.Span("classify", CALLER, "CONSUMER").end()
    assert not httpserver.log, "spans are exported in batches"

    tracing.Tracing().after_worker_shutdown(actors.broker, None)  # type: ignore[arg-type]

    ((request, _),) = httpserver.log
    assert bytes.fromhex(traces.trace_of(CALLER) or "") in request.get_data()


def test_a_span_says_why_its_job_failed(hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]):
    configure(DATABASE_URL=_url(), AURA_TRACES="console")
    enqueue(NewJob("classify", "999999"))
    hand.run()

    (span,) = printed(capsys)
    assert span["status"] == {"status_code": "ERROR", "description": "Missing"}
    assert len(letters()) == 1


@pytest.mark.parametrize("messages", [1, 3])
def test_a_digest_is_linked_to_the_traces_of_what_is_in_it_and_what_goes_alone_stays_in_its_own(
    messages: int, hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    configure(DATABASE_URL=_url(), AURA_TRACES="console")
    with transaction() as session:
        preferences.save(session, "a@b.example", {"timezone": "UTC", "digest": "hourly"})
    for _ in range(messages):
        accept(tracing.child(None))
    hand.run()
    wrote = {
        (span["context"]["trace_id"], span["context"]["span_id"])
        for span in printed(capsys)
        if span["name"] == "notify"
    }
    assert len(wrote) == messages
    move(Notification, delayed_until=-1)
    move(Job, due_at=-1)
    hand.run()

    spans = {span["name"]: span for span in printed(capsys)}
    linked = {(link["context"]["trace_id"], link["context"]["span_id"]) for link in spans["digest"]["links"]}
    mail = spans["email"]["context"]["trace_id"]
    if messages == 1:
        assert linked == set()
        assert {mail} == {trace for trace, _ in wrote}
    else:
        assert linked == wrote
        assert mail == spans["digest"]["context"]["trace_id"]


def test_what_is_not_installed_is_named(configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    configure(AURA_TRACES="otlp")

    with pytest.raises(SettingsError, match=r"AURA_TRACES=otlp needs OpenTelemetry .*aura-desk\[tracing\]"):
        tracing.Span("classify", None, "CONSUMER")


def _url() -> str:
    return get_settings().database_url.get_secret_value()
