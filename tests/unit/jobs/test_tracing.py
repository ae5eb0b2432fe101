"""Traces of jobs: each job is a child of the job that enqueued it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import actors
from aura.jobs import tracing
from aura.settings import SettingsError
from db import preferences, traces, transaction
from db.jobs import NewJob
from db.models import Job, Notification
from tests.embedded import Hand, all_jobs, enqueue, letters, move
from tests.unit.traced import CALLER, _url, accept, printed

pytestmark = pytest.mark.usefixtures("sqlite", "untraced")


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


def test_a_child_is_another_span_of_its_parents_trace_with_the_same_flags():
    parent = CALLER[:-2] + "00"
    child = tracing.child(parent)

    assert traces.trace_of(child) == traces.trace_of(CALLER)
    assert child != parent
    assert child.endswith("-00"), "the caller decided that the trace is not sampled"


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", CALLER[:-1]])
def test_without_a_valid_parent_a_span_begins_a_new_trace(parent: str | None):
    first, second = tracing.child(parent), tracing.child(parent)
    assert traces.trace_of(first) not in (None, traces.trace_of(CALLER), traces.trace_of(second))


def test_a_message_s_ticket_stays_in_its_trace(hand: Hand):
    with traces.within(CALLER):
        enqueue(NewJob("receive", "message:1", ['{"title": "VPN drops"}']))
    hand.relay()
    hand.work()
    assert [(job.actor, traces.trace_of(job.traceparent)) for job in all_jobs()][:1] == [
        ("intake", traces.trace_of(CALLER))
    ]


def test_the_last_spans_leave_when_a_worker_stops(
    configure: Callable[..., Any], httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tracing, "FLUSH_WITHIN", 60_000)
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
def test_a_digest_is_linked_to_the_traces_of_its_notifications_and_a_single_notification_stays_in_its_own(
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


def test_a_missing_package_is_named(configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    configure(AURA_TRACES="otlp")

    with pytest.raises(SettingsError, match=r"AURA_TRACES=otlp needs OpenTelemetry .*aura-desk\[tracing\]"):
        tracing.Span("classify", None, "CONSUMER")
