"""Refused requests: aggregated in the audit log, and counted as metrics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import prometheus_client
import pytest

from aura.web.auth import security_events
from aura.web.auth.security_events import SecurityEvents
from db import audit, reading
from tests.unit.web.clients import audit_entries


def details() -> list[tuple[str, str, object]]:
    with reading() as session:
        return [(row["who"], row["address"], row["details"].get("repeated")) for row in audit.listing(session)][::-1]


def test_the_folder_of_shared_metrics_is_made_before_the_first_counter(tmp_path: Path):
    folder = tmp_path / "metrics"
    code = "import aura.web.auth.security_events"
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    assert list(folder.iterdir())


def test_repetitions_within_an_interval_are_one_entry_with_their_number():
    events = SecurityEvents()
    for address in ("192.0.2.7", "192.0.2.7", "2001:db8::1", "2001:db8::2", "192.0.2.7"):
        events.record("login.refuse", "user ada", address)
    assert details() == [("user ada", "192.0.2.7", None), ("user ada", "2001:db8::1", None)]

    events.flush()

    assert details()[2:] == [("user ada", "192.0.2.7", 2), ("user ada", "2001:db8::/64", 1)]


def test_the_entries_of_an_interval_are_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(security_events, "MAX_ENTRIES", 5)
    events = SecurityEvents()
    for number in range(100):
        events.record("key.refuse", "", f"192.0.2.{number}")
    events.flush()

    assert len(audit_entries()) == 5 + 2
    assert details()[-1] == ("unknown", "", 94)


def test_an_interval_ends_with_the_first_event_after_it(monkeypatch: pytest.MonkeyPatch):
    events = SecurityEvents()
    for _ in range(3):
        events.record("login.throttle", "", "192.0.2.7")
    monkeypatch.setattr(security_events, "INTERVAL", 0.0)
    events.record("login.throttle", "", "192.0.2.7")

    assert [repeated for _, _, repeated in details()] == [None, 2, None]


def test_refusals_are_counted_by_kind():
    def counted() -> float:
        return prometheus_client.REGISTRY.get_sample_value("aura_refused_requests_total", {"kind": "key.refuse"}) or 0.0

    before = counted()
    SecurityEvents().record("key.refuse", "", "192.0.2.7")

    assert counted() == before + 1
