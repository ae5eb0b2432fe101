"""`aura incidents`."""

from __future__ import annotations

from pipelines.incidents import propose_incidents
from tests.commands import Run
from tests.unit.pipelines.test_incidents import BURST, report


def test_incidents_are_listed_accepted_and_dismissed(sqlite: str, run: Run):
    assert run("incidents", "list").err == "No incidents.\n"
    report(BURST)
    propose_incidents()

    [listed] = run("incidents", "list", "--state", "proposed", "--format", "json").json()
    assert (listed["id"], listed["tickets"], listed["state"]) == (1, len(BURST), "proposed")
    parent = run("incidents", "accept", 1, "--format", "json").json()["ticket"]
    assert run("incidents", "list", "--format", "json").json()[0]["parent_id"] == parent
    refused = run("incidents", "dismiss", 1)
    assert (refused.code, refused.out) == (1, "")
    assert "already accepted" in refused.err

    report([f"Intranet is offline {n}" for n in "abcdef"])
    propose_incidents()
    assert run("incidents", "dismiss", 2).out == "incident 2 dismissed\n"
    states = [each["state"] for each in run("incidents", "list", "--format", "json").json()]
    assert states == ["dismissed", "accepted"]
