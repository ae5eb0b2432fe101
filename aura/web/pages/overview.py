"""Page /: the live pipeline with throughput, blocked jobs and open reviews; and the data of its charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import SecretStr

from actors import analysis
from aura.ai.engines.factory import make_engine
from aura.ai.engines.shared_state import SharedStateUnavailable
from aura.desk import samples
from aura.desk.agents import import_agents
from aura.desk.importing import import_tickets
from aura.errors import NotFound
from aura.settings import get_settings
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import audited, redirect
from aura.web.pages.queues import queue_of, snapshot
from aura.web.render import count_of, page
from db import ai_costs, diagnosis, metric_samples, queue_stats, ticket_stats
from db.database import reporting
from db.diagnosis import Snapshot
from db.queue_stats import COUNT_LIMIT, Backlog, Rate
from db.ticket_stats import TicketStats
from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

router = APIRouter()

#: The charts: (series of `db.metric_samples`, label) for each line, and the unit.
CHARTS: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "seconds": ((("seconds.p50", "p50"), ("seconds.p95", "p95")), " s"),
    "tickets": ((("received", "received"), ("classified", "classified"), ("notified", "notified")), ""),
    "dollars": ((("dollars", "cost today"),), " $"),
}
#: What each step does.
DESCRIPTIONS = {
    "intake": "cleans the text, finds duplicates",
    "classify": "sets category and priority",
    "notify": "selects the recipients",
    "email": "sends e-mails",
    "reanalyze": "classifies tickets again",
}
#: The longest time range of a chart, in hours.
MAX_HOURS = 24 * 7
#: The share of the AI budget from which on it is reported as nearly used up.
BUDGET_WARNING = 0.9


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the pipeline: its open jobs, its throughput, and why it is blocked."""

    name: str
    backlog: Backlog
    rate: Rate
    blocked: str

    @property
    def status(self) -> str:
        """Return blocked, failing, busy or idle."""
        if self.blocked and self.backlog.open:
            return "blocked"
        if self.backlog.retrying or self.rate.failed > self.rate.completed:
            return "failing"
        return "busy" if self.backlog.open or self.rate.completed else "idle"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know, with the page that shows it."""

    text: str
    address: str
    critical: bool = False


@router.get("/", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_overview(request: Request) -> HTMLResponse:
    with reporting() as session:
        current = snapshot(session)
        backlogs, rates = queue_stats.backlog(session, queue_of()), queue_stats.rates(session)

        def stage(name: str) -> Stage:
            blocked = diagnosis.blocked(current, queue_of()[name])
            return Stage(name, backlogs.get(name, Backlog()), rates.get(name, Rate()), blocked)

        steps = [stage(step.actor_name) for step in triage.steps]
        names = {each.name for each in steps}
        channels = [stage(name) for name, queue in sorted(queue_of().items()) if queue.startswith("notify.")]
        background = [stage(step.actor_name) for step in reanalysis.steps if step.actor_name not in names]
        stats = ticket_stats.ticket_stats(session)
        costs = {"today": ai_costs.spent_today(session), "budget": get_settings().ai_budget_day}
    return page(
        request,
        "overview.html",
        steps=steps,
        channels=[each for each in channels if each.status != "idle"]
        or [each for each in channels if each.name == "email"],
        background=background,
        stats=stats,
        costs=costs,
        engine=_engine(),
        alerts=_alerts([*steps, *channels], current, stats, costs),
        current=current,
        most=COUNT_LIMIT,
        descriptions=DESCRIPTIONS,
    )


@router.get("/charts/{name}.json", dependencies=[REQUIRES_READ])
def show_chart(name: str, hours: float = 3.0) -> dict[str, Any]:
    """Return the points of a chart, for uPlot."""
    if name not in CHARTS or not 0 < hours <= MAX_HOURS:
        raise NotFound(f"charts: {', '.join(CHARTS)}, for up to {MAX_HOURS} hours")
    lines, unit = CHARTS[name]
    with reporting() as session:
        since = datetime.now(UTC) - timedelta(hours=hours)
        samples = metric_samples.series(session, [series for series, _ in lines], since)
    times = sorted({moment for points in samples.values() for moment, _ in points})
    values = {series: dict(points) for series, points in samples.items()}
    series = [
        {"name": label, "values": [values.get(name, {}).get(moment) for moment in times]} for name, label in lines
    ]
    return {"at": [moment.timestamp() for moment in times], "series": series, "unit": unit}


@router.post("/examples")
@audited("tickets.examples")
def import_examples(who: Operator) -> RedirectResponse:
    """Import the example tickets and agents; a repetition adds none."""
    import_agents(samples.AGENTS)
    report = import_tickets(samples.TICKETS)
    return redirect("/", f"{report.new} example tickets imported.")


def _engine() -> dict[str, str]:
    settings = get_settings()
    if not settings.remote_engine:
        return {"name": "local", "state": "closed", "text": "The local model classifies, at no cost."}
    if settings.openai_api_key is None:  # the workers have it; the state of their circuit breaker is in Redis
        settings = settings.model_copy(update={"openai_api_key": SecretStr("in the workers")})
    engine: Any = make_engine(settings, analysis.spent_today, analysis.running_calls)
    try:
        state = engine.breaker.state
    except SharedStateUnavailable as error:
        return {"name": settings.ai_model, "state": "open", "text": f"{error}; the local model classifies."}
    texts = {
        "closed": "Classifies; the local model is the fallback.",
        "open": "Failed repeatedly and is not called for now; the local model classifies.",
        "half-open": "Failed repeatedly; one call tests it.",
    }
    return {"name": settings.ai_model, "state": state, "text": texts.get(state, state)}


def _alerts(stages: list[Stage], current: Snapshot, stats: TicketStats, costs: dict[str, float]) -> list[Alert]:
    return [
        *_blocked(stages, current),
        *_retrying(stages),
        *_counts(stats),
        *_budget(costs),
    ]


def _blocked(stages: list[Stage], current: Snapshot) -> list[Alert]:
    jobs: dict[str, int] = {}
    for stage in stages:
        if stage.blocked and stage.backlog.open:
            jobs[stage.blocked] = jobs.get(stage.blocked, 0) + stage.backlog.open
    address = "/queues" if current.workers and current.relays else "/workers"
    return [
        Alert(
            f"{count_of(count, 'job waits', 'jobs wait', COUNT_LIMIT)}. {reason}", address, critical=not current.workers
        )
        for reason, count in jobs.items()
    ]


def _retrying(stages: list[Stage]) -> list[Alert]:
    return [
        Alert(
            f"{stage.name}: {count_of(count, 'job failed and is', 'jobs failed and are', COUNT_LIMIT)} retrying.",
            f"/jobs?actor={stage.name}&state=retrying",
        )
        for stage in stages
        if (count := stage.backlog.retrying)
    ]


def _counts(stats: TicketStats) -> list[Alert]:
    rows = (
        (stats.dead, "dead letter.", "dead letters.", "/dead-letters", True),
        (stats.late, "overdue ticket.", "overdue tickets.", "/tickets?q=is:open+is:late", True),
        (stats.warned, "ticket is due soon.", "tickets are due soon.", "/tickets?q=is:open+is:warned", False),
        (stats.review, "ticket needs a review.", "tickets need a review.", "/review", False),
        (stats.incidents, "incident is proposed.", "incidents are proposed.", "/incidents", False),
    )
    return [
        Alert(count_of(count, one, many, COUNT_LIMIT), address, critical)
        for count, one, many, address, critical in rows
        if count
    ]


def _budget(costs: dict[str, float]) -> list[Alert]:
    used_up = costs["budget"] and costs["today"] >= costs["budget"] * BUDGET_WARNING
    if not used_up or not get_settings().remote_engine:
        return []
    return [Alert(f"{costs['today'] / costs['budget']:.0%} of today's AI budget is used (AURA_AI_BUDGET_DAY).", "/ai")]
