"""Dead letters over the API."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.embedded import all_jobs, letters
from tests.unit.web.clients import create_dead_letter


def test_a_dead_letter_is_listed_shown_and_replayed_once(web: TestClient):
    number = create_dead_letter("boom")
    path = f"/api/v1/dead-letters/{number}"
    [row] = web.get("/api/v1/dead-letters", params={"actor": "classify"}).json()["dead_letters"]
    assert (row["id"], row["error"], row["fingerprint"]) == (number, "boom", "f" * 12)
    assert web.get("/api/v1/dead-letters", params={"actor": "email"}).json()["dead_letters"] == []

    replayed = web.post(f"{path}/replay", json={})
    assert replayed.json() == {"id": number, "actor": "classify", "key": "17"}
    assert [(job.actor, job.key) for job in all_jobs()] == [("classify", "17")]
    assert web.post(f"{path}/replay", json={}).status_code == 404
    assert web.post("/api/v1/dead-letters/999/replay", json={}).status_code == 404


def test_a_dead_letter_is_discarded_with_a_reason_and_replayed_by_force_alone(web: TestClient):
    path = f"/api/v1/dead-letters/{create_dead_letter()}"
    assert web.post(f"{path}/discard", json={}).status_code == 422
    assert web.post(f"{path}/discard", json={"reason": "a test"}).status_code == 200

    assert web.post(f"{path}/replay", json={}).status_code == 404
    assert web.post(f"{path}/replay", json={"force": True}).status_code == 200


def test_dead_letters_of_one_error_are_one_group_and_handled_together(web: TestClient):
    create_dead_letter()
    create_dead_letter()
    [group] = web.get("/api/v1/dead-letters/groups").json()["groups"]
    assert (group["letters"], group["fingerprint"]) == (2, "f" * 12)

    one = {"fingerprint": "f" * 12, "limit": 1}
    assert web.post("/api/v1/dead-letters/replay", json=one).json() == {"replayed": 1}
    rest = {"fingerprint": "f" * 12, "reason": "a test"}
    assert web.post("/api/v1/dead-letters/discard", json=rest).json() == {"discarded": 1}
    assert sorted(letter.state for letter in letters()) == ["discarded", "replayed"]
