"""Local models, accuracy and costs over the API."""

from __future__ import annotations

from fastapi.testclient import TestClient

from aura.desk.ticket_actions import correct
from db import local_models, transaction
from db.new_tickets import NewTicket
from tests.embedded import Hand
from tests.unit.db.helpers import create, save_verdicts, verdict
from tests.unit.web.clients import audit_entries


def active(web: TestClient) -> list[str]:
    return [row["version"] for row in web.get("/api/v1/models").json()["models"] if row["active"]]


def test_one_model_is_active_and_another_is_activated(web: TestClient):
    with transaction() as session:
        local_models.store(session, "local-1", b"body", {"accuracy": 0.9})
    shipped = active(web)

    assert web.post("/api/v1/models/local-1/use").json() == {"active": "local-1"}

    assert shipped != active(web) == ["local-1"]
    assert audit_entries()[-1][1:] == ("model.use", "model/local-1")
    assert web.post("/api/v1/models/local-9/use").status_code == 404
    assert active(web) == ["local-1"]


def test_costs_name_the_budget_and_the_calls_of_the_days(web: TestClient):
    costs = web.get("/api/v1/ai/costs", params={"days": 1}).json()

    assert (costs["today"], costs["calls"]) == (0.0, [])
    assert costs["budget"] > 0
    assert web.get("/api/v1/ai/costs", params={"days": 0}).status_code == 422


def test_the_evaluation_has_the_accuracy_of_reviewed_tickets(web: TestClient, hand: Hand):
    assert web.get("/api/v1/evaluation").json() == {}
    [ticket] = create(NewTicket(title="VPN drops"))
    save_verdicts(verdict(ticket))
    correct(ticket, "ann", category="Network")

    [category] = [label for name, label in web.get("/api/v1/evaluation").json().items() if name == "category"]
    assert category["accuracy"] == 1.0
