"""Backtests: another model classifies reviewed tickets and changes none."""

from __future__ import annotations

import pytest

from aura.desk import backtest
from aura.desk.ticket_actions import correct
from db.models import Notification, VerdictRecord
from tests.commands import Run
from tests.embedded import Hand, count
from tests.unit.remote_engine import Remote, submit

pytestmark = pytest.mark.usefixtures("database")


def test_a_backtest_of_another_model_changes_no_ticket(
    hand: Hand, remote: Remote, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    first, second = submit("Laptop broken"), submit("Cannot sign in", "bob@example.com")
    hand.run()
    correct(first, "nora", category="Hardware")
    correct(second, "nora", category="Access")
    hand.run()
    notified, verdicts = count(Notification), count(VerdictRecord)
    trial = Remote()
    trial.says = trial.says._replace(category="Access", model="m-2")
    monkeypatch.setattr(backtest, "_engine", lambda model, _settings: (trial.reclassify, model))

    report = backtest.backtest("m-2", 500).as_dict()

    assert report["accuracy"]["category"] == report["accuracy_before"]["category"] == 0.5
    assert [(each["ticket"], each["before"], each["now"], each["human"]) for each in report["changed"]] == [
        (second, "Hardware", "Access", "Access"),
        (first, "Hardware", "Access", "Hardware"),
    ]
    assert report["dollars"] == pytest.approx(0.02)
    assert (count(Notification), count(VerdictRecord)) == (notified, verdicts)
    assert "50.0%" in run("backtest", "--model", "m-2").out
