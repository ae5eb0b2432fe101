"""The dashboard and the alerts use the metrics of /metrics, and each alert has a runbook."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import promql_parser
import pytest
import yaml

from tests.conftest import ROOT
from tests.install import tool
from tests.unit.docs.test_docs import anchors
from tests.unit.web.clients import local_client

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]


@cache
def expressions() -> dict[str, str]:
    panels = json.loads((DEPLOY / "grafana/dashboard.json").read_text())["panels"]
    shown = {
        f"panel {panel['title']}, {target['refId']}": target["expr"] for panel in panels for target in panel["targets"]
    }
    return shown | {rule["alert"]: rule["expr"] for rule in RULES}


def asked() -> set[str]:
    """Return every metric that the dashboard or an alert asks for."""
    return {name for expression in expressions().values() for name in re.findall(r"\baura_\w+", expression)}


def offered(page: str) -> set[str]:
    """Return every metric that a page of /metrics has samples of."""
    return set(re.findall(r"^(aura_\w+)[ {]", page, re.MULTILINE))


@pytest.mark.usefixtures("sqlite")
def test_every_metric_is_used_by_the_dashboard_or_an_alert() -> None:
    answer = local_client().get("/metrics")
    declared = set(re.findall(r"^# TYPE (aura_\w+(?<!_created)) ", answer.text, re.MULTILINE))
    assert declared == {re.sub("_(bucket|count)$", "", name) for name in asked()}


def test_every_expression_is_valid_promql() -> None:
    for where, expression in expressions().items():
        try:
            promql_parser.parse(expression)
        except ValueError as error:
            pytest.fail(f"{where}: {error}")


def test_every_alert_has_a_severity_and_a_runbook() -> None:
    for rule in RULES:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert anchor in anchors(ROOT / path), f"{rule['alert']} names {anchor}"


@pytest.mark.integration
@pytest.mark.parametrize(
    "command", [["check", "rules", ALERTS], ["test", "rules", DEPLOY / "prometheus/alerts_test.yml"]]
)
def test_promtool_accepts_the_alerts(command: list[str | Path]) -> None:
    checked = subprocess.run([tool("promtool"), *map(str, command)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
