from __future__ import annotations

import pytest

from aura.ai.text.alerts import is_machine_made, read_alert
from aura.ai.text.normalize import normalize
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("PROBLEM Host Alert: dist-sw-09 is DOWN", "high"),
        ("** RECOVERY Service Alert: shop3/HTTP is OK **", "low"),
        ("[FIRING:2] InstanceDown on node9, severity=critical", "high"),
        ("[RESOLVED] HighLatency on node9", "low"),
        ("Problem: Free disk space below 15% on /srv\nSeverity: Warning", "medium"),
        ("Notification Type: PROBLEM\nHost: mail7\nState: CRITICAL", "high"),
        ("Notification Type: PROBLEM\nHost: test-mail7\nState: CRITICAL", "medium"),
        ("Trigger: Too many processes\nTrigger severity: Information", "low"),
        ("job invoice_eu_07 failed in batch_scheduler at 11/04/2026 23:00:00", "medium"),
        ("EDR alert: process qwx32.exe encrypts files on FILE9", "critical"),
        ("Defender alert: ransomware behaviour was blocked on PC9", "medium"),
    ],
)
def test_the_priority_of_an_alert_is_read(text: str, priority: str) -> None:
    alert = read_alert(normalize(text))
    assert alert is not None and alert.priority == priority


@pytest.mark.parametrize(
    "text",
    [
        "My status: working from home",
        "Job description of the new colleague",
        "The printer alert does not go away",
        "My backup failed again",
    ],
)
def test_a_text_that_people_write_is_no_alert(text: str) -> None:
    assert not is_machine_made(normalize(text)) and read_alert(normalize(text)) is None


@pytest.mark.parametrize("piece", ["job a ", "severity: ", "[", "host ", "alert: ", "defender "])
def test_reading_an_alert_takes_linear_time(piece: str) -> None:
    assert growth(read_alert, piece * 2_000) < MOST
