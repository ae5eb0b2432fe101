"""The reference pages list what the code has: no more, no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

import actors
from actors import TOPOLOGY, metrics
from aura.jobs import metrics as job_metrics
from aura.notifications import EVENTS
from aura.notifications.recipients import AUDIENCE
from aura.notifications.subscriptions import INCIDENT_PROPOSED
from aura.web.auth import security_events
from aura.web.metrics import DatabaseMetrics
from pipelines.scheduled_jobs import SCHEDULE
from tests.conftest import ROOT
from tests.documents import DOCS
from tests.reference_pages import pages
from tests.unit.docs.test_docs import anchors

REFERENCE = DOCS / "reference"


def rows(page: Path, heading: str = "") -> Iterator[list[str]]:
    """Yield the cells of the rows of the tables below a heading, without their headers."""
    text = page.read_text()
    if heading:
        text = re.split(r"^## ", text.split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    for line in text.splitlines():
        if re.match(r"\| (`|- \|)", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda value: getattr(value, "name", ""))
def test_a_generated_page_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run: make reference"


def test_the_events_are_those_that_are_published_and_notified() -> None:
    published, notified = set(), set()
    for key, webhook, *_ in rows(REFERENCE / "events.md", "List"):
        key, webhook = key.strip("`"), webhook.strip("`")
        if key != "-":
            published.add(key.partition(".{")[0])
        if webhook != "no":
            notified.add(key if webhook == "yes" else webhook)
    assert notified == {*EVENTS, INCIDENT_PROPOSED}
    assert published == set(_published())


def _published() -> Iterator[str]:
    """Yield the routing keys in calls of the functions that record events, read from the source."""
    functions = {"record", "announce_event", "announce_events", "Happened"}
    for path in [*(ROOT / "db").glob("*.py"), *(ROOT / "actors").glob("*.py"), *(ROOT / "aura/desk").glob("*.py")]:
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or _name(call.func) not in functions:
                continue
            if _name(call.func) == "record" and not (isinstance(call.func, ast.Attribute) and _is_outbox(call.func)):
                continue
            for part in ast.walk(call):
                value = constants.get(part.id) if isinstance(part, ast.Name) else part
                for each in ast.walk(value) if value is not None else ():
                    if isinstance(each, ast.Constant) and str(each.value).startswith("ticket."):
                        yield str(each.value).rstrip(".")
        # a table of events by state
        yield from (
            str(value.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Dict) and path.name == "sla_checks.py"
            for value in node.values
            if isinstance(value, ast.Constant) and str(value.value).startswith("ticket.")
        )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_outbox(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "outbox"


def test_the_recipients_of_each_event_are_those_of_the_code() -> None:
    listed = {cells[0].strip("`"): cells[1] for cells in rows(DOCS / "how-to/choose-notifications.md", "Defaults")}
    assert listed.pop(INCIDENT_PROPOSED) == "team, assignees of its tickets"
    assert listed == {event: ", ".join(roles) or "nobody" for event, roles in AUDIENCE.items()}


def test_the_counters_are_those_of_the_code() -> None:
    listed = {
        cells[0].strip("`"): set(re.findall(r"`(\w+)`(?= =|,|$)", cells[1].split(" = ")[0]))
        | set(re.findall(r"`(\w+)` =", cells[1]))
        for cells in rows(REFERENCE / "metrics.md", "Counters and histograms")
    }
    declared = {
        each._name + ("_total" if each._type == "counter" else ""): set(each._labelnames)
        for each in {**vars(metrics), **vars(job_metrics), **vars(security_events)}.values()
        if isinstance(each, MetricWrapperBase)
    }
    assert listed == declared


@pytest.mark.usefixtures("sqlite")
def test_the_gauges_are_those_of_the_code() -> None:
    listed = {cells[0].strip("`") for cells in rows(REFERENCE / "metrics.md", "Gauges")}
    collected: list[Metric] = list(DatabaseMetrics().collect())
    assert listed == {each.name for each in collected}


def test_the_queues_are_those_of_the_code() -> None:
    page = REFERENCE / "rabbitmq.md"
    assert [cells[0].strip("`") for cells in rows(page, "Exchanges")] == list(TOPOLOGY.exchanges)
    listed = {tuple(cell.strip("`") for cell in cells) for cells in rows(page, "Queues")}
    routes = {name: TOPOLOGY.route(name) for name in actors.broker.get_declared_queues()}
    assert listed == {(name, way.exchange or "(default)", way.routing_key) for name, way in routes.items()}


def test_the_scheduled_jobs_are_those_of_the_code() -> None:
    listed = [
        (cells[0].strip("`"), cells[1].strip("`")) for cells in rows(REFERENCE / "schedules.md", "Scheduled jobs")
    ]
    assert listed == [(each.name, each.when) for each in SCHEDULE]


def test_every_alert_has_a_section_in_the_runbook() -> None:
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    linked = re.findall(r"runbook: docs/how-to/runbook\.md#(\S+)", alerts)
    assert len(linked) == alerts.count("- alert:")
    assert set(linked) | {"runbook"} == anchors(DOCS / "how-to/runbook.md")
