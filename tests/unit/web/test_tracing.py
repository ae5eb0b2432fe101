"""Traces of requests: each request and its jobs are one trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aura.jobs import tracing
from aura.web.group_commit import CreateRequest, store
from db import traces
from db.new_tickets import NewTicket
from tests.embedded import Hand, all_jobs
from tests.unit.traced import CALLER, _url, accept, client, printed, tree

pytestmark = pytest.mark.usefixtures("sqlite", "untraced")


def test_a_request_and_its_jobs_are_one_trace(
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
