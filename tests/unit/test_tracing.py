"""A ticket's whole journey is one trace: each job is a child of the one that promised it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors import tracing
from db import tickets, traces, transaction
from db.jobs import Promise
from db.submissions import Submission
from pipelines.triage import triage
from settings import SettingsError
from tests.embedded import Hand, all_jobs, letters, promise

pytestmark = pytest.mark.usefixtures("sqlite")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    tracing._tracer.cache_clear()
    yield
    tracing._tracer.cache_clear()


def accept(traceparent: str | None) -> int:
    token = traces.current.set(traceparent)
    try:
        with transaction() as session:
            (ticket_id,) = tickets.accept(
                session, "test", [(Submission(title="VPN drops", requester="a@b.example"), {})]
            )
            triage.send(ticket_id)
    finally:
        traces.current.reset(token)
    return ticket_id


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
    assert traces.trace_of(traces.child(header))
    assert traces.child(header) != traces.child(header)


def test_the_spans_are_children_of_each_other(
    hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    configure(DATABASE_URL=str(_url()), AURA_TRACES="console")
    accept(CALLER)
    hand.run()

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    spans = {span["context"]["span_id"]: span for span in map(json.loads, lines)}
    assert {span["context"]["trace_id"] for span in spans.values()} == {"0x" + (traces.trace_of(CALLER) or "")}
    by_name = {span["name"]: span for span in spans.values()}
    assert by_name["intake"]["parent_id"] == "0x" + CALLER.split("-")[2]
    for child, parent in (("classify", "intake"), ("notify", "classify"), ("email", "notify")):
        assert spans[by_name[child]["parent_id"]]["name"] == parent


def test_a_span_says_why_its_job_failed(hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]):
    configure(DATABASE_URL=str(_url()), AURA_TRACES="console")
    promise(Promise("classify", "999999"))
    hand.run()

    (span,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert span["status"] == {"status_code": "ERROR", "description": "Missing"}
    assert len(letters()) == 1


def test_what_is_not_installed_is_named(configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    configure(AURA_TRACES="otlp")

    with pytest.raises(SettingsError, match=r"AURA_TRACES=otlp needs OpenTelemetry .*aura-desk\[tracing\]"):
        tracing.Span("classify", None, "CONSUMER", {})


def _url() -> str:
    from settings import get_settings

    return get_settings().database_url.get_secret_value()
