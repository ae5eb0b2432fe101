"""/metrics: counters and gauges in the format of Prometheus."""

from __future__ import annotations

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from db.models import Job
from tests.embedded import Hand, count
from tests.unit.web.clients import TICKET


def test_metrics_have_tickets_by_stage_and_jobs_by_state(web: TestClient, hand: Hand):
    web.post("/tickets", json=TICKET)
    hand.run()
    web.post("/tickets", json=TICKET)

    answer = web.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {(s.labels["stage"], s.value) for s in families["aura_tickets"].samples if s.value} == {("received", 1)}
    due = {(s.labels["actor"], s.labels["state"]) for s in families["aura_jobs"].samples if s.value}
    assert due == {("intake", "available")}
    assert families["aura_database_up"].samples[0].value == 1
    assert families["aura_dead_letters"].samples[0].value == 0
    assert any(s.labels.get("outcome") == "completed" for s in families["aura_attempts"].samples)
    assert count(Job) == 1
