"""The overview: what flows, how fast, what stands still and why, and what needs a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from actors import analysis
from aura.ai.engines.factory import make_engine
from aura.ai.engines.shared_state import SharedStateUnavailable
from aura.desk import samples
from aura.desk.agents import import_agents
from aura.desk.ticket_import import import_tickets
from aura.settings import get_settings
from aura.web.auth.identity import MAY_READ, Operator
from aura.web.pages.forms import back, recorded
from aura.web.pages.queue_state import look, queue_of
from aura.web.pages.render import number, page
from db import ai_costs, diagnosis, metric_samples, queue_stats, reading, ticket_stats
from db.diagnosis import Snapshot
from db.queue_stats import Backlog, Rate
from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

router = APIRouter(include_in_schema=False)

#: What each chart shows: (series of `db.metric_samples`, how it is called), the unit, and the factor of the values.
CHARTS: dict[str, tuple[tuple[tuple[str, str], ...], str, float]] = {
    "seconds": ((("seconds.p50", "half are faster than this"), ("seconds.p95", "95 % are faster")), " s", 1.0),
    "tickets": ((("received", "received"), ("classified", "classified"), ("notified", "notified")), "", 1.0),
    "dollars": ((("dollars", "spent today"),), " $", 1.0),
}
#: What each stage does, for who does not know its name.
DOES = {
    "intake": "reads and cleans it",
    "classify": "finds category and priority",
    "notify": "decides who is told",
    "email": "sends the mails",
    "reanalyze": "looks at old tickets again",
}
#: Hours that a chart may show.
LONGEST = 24 * 7


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the picture: what waits there, how fast it goes, and what holds it."""

    name: str
    queue: str
    waiting: Backlog
    rate: Rate
    held: str

    @property
    def mood(self) -> str:
        """Return how it looks: held, failing, busy or calm."""
        if self.held and self.waiting.open:
            return "held"
        if self.rate.failed > self.rate.completed:
            return "failing"
        return "busy" if self.waiting.open or self.rate.completed else "calm"


@dataclass(slots=True)
class Trouble:
    """Something that a person should know; `address` is the page that helps."""

    said: str
    address: str
    grave: bool = False
    more: list[str] = field(default_factory=list)


@router.get("/", response_class=HTMLResponse, dependencies=[MAY_READ])
def overview(request: Request) -> HTMLResponse:
    with reading() as session:
        around = look(session)
        waiting, rates = queue_stats.backlog(session, queue_of()), queue_stats.rates(session)
        main = [_stage(step.actor_name, waiting, rates, around) for step in triage.steps]
        first = {stage.name for stage in main}
        channels = sorted(name for name, queue in queue_of().items() if queue.startswith("notify."))
        later = [step.actor_name for step in reanalysis.steps if step.actor_name not in first]
        others = [_stage(name, waiting, rates, around) for name in channels]
        figures = ticket_stats.ticket_stats(session)
        money = {"today": ai_costs.today(session), "budget": get_settings().ai_budget_day}
        values: dict[str, Any] = {
            "main": main,
            "channels": [stage for stage in others if stage.waiting.open or stage.waiting.later or stage.rate.completed]
            or [stage for stage in others if stage.name == "email"],
            "background": [_stage(name, waiting, rates, around) for name in later],
            "figures": figures,
            "money": money,
            "engine": _engine(),
            "troubles": _troubles([*main, *others], around, figures, money),
            "around": around,
            "most": queue_stats.MOST,
            "does": DOES,
        }
    return page(request, "overview.html", **values)


@router.get("/charts/{name}.json", dependencies=[MAY_READ])
def chart(name: str, hours: float = 3.0) -> dict[str, Any]:
    """Return the points of one chart, for uPlot."""
    if name not in CHARTS or not 0 < hours <= LONGEST:
        raise HTTPException(404, f"there are the charts {', '.join(CHARTS)}, of up to {LONGEST} hours")
    lines, unit, factor = CHARTS[name]
    with reading() as session:
        found = metric_samples.series(session, [each for each, _ in lines], datetime.now(UTC) - timedelta(hours=hours))
    at = sorted({moment for points in found.values() for moment, _ in points})
    series = [
        {"name": called, "values": [points.get(moment) for moment in at]}
        for each, called in lines
        for points in [{moment: value * factor for moment, value in found.get(each, [])}]
    ]
    return {"at": [moment.timestamp() for moment in at], "series": series, "unit": unit}


@router.post("/examples")
@recorded("tickets.examples")
def examples(who: Operator) -> RedirectResponse:
    """Hand the example tickets in; once more adds none."""
    import_agents(samples.AGENTS)
    report = import_tickets(samples.TICKETS)
    return back("/", f"{report.new} example tickets are on their way")


def _stage(name: str, waiting: dict[str, Backlog], rates: dict[str, Rate], around: Snapshot) -> Stage:
    queue = queue_of()[name]
    return Stage(name, queue, waiting.get(name, Backlog()), rates.get(name, Rate()), diagnosis.held(around, queue))


def _engine() -> dict[str, str]:
    settings = get_settings()
    if not settings.openai_api_key:
        return {"name": "local", "state": "closed", "said": "The local model answers; it costs nothing."}
    guarded: Any = make_engine(settings, analysis.spent_today)
    try:
        state = guarded.breaker.state
    except SharedStateUnavailable as away:
        return {"name": settings.ai_model, "state": "open", "said": f"{away}, so the local model answers."}
    said = {
        "closed": "It is asked, and the local model stands at its side.",
        "open": "It failed too often and is left alone for a while; the local model answers.",
        "half-open": "It is tried again with one call.",
    }
    return {"name": settings.ai_model, "state": state, "said": said.get(state, state)}


def _troubles(
    stages: list[Stage], around: Snapshot, figures: ticket_stats.TicketStats, money: dict[str, float]
) -> list[Trouble]:
    found: list[Trouble] = []
    reasons: dict[str, int] = {}
    for stage in stages:
        if stage.held and stage.waiting.open:
            reasons[stage.held] = reasons.get(stage.held, 0) + stage.waiting.open
    for reason, count in reasons.items():
        nobody = not around.workers or not around.relays
        found.append(
            Trouble(
                f"{_many(count, 'job waits', 'jobs wait')}. {reason}",
                "/workers" if nobody else "/queues",
                grave=not around.workers,
            )
        )
    for count, one, many, address, grave in (
        (figures.dead, "dead letter waits for a person.", "dead letters wait for a person.", "/dead", True),
        (figures.late, "open ticket is late.", "open tickets are late.", "/tickets?q=is:open+is:late", True),
        (
            figures.warned,
            "open ticket is soon due.",
            "open tickets are soon due.",
            "/tickets?q=is:open+is:warned",
            False,
        ),
        (figures.review, "verdict should be looked at.", "verdicts should be looked at.", "/review", False),
        (figures.incidents, "burst may be one incident.", "bursts may be incidents.", "/incidents", False),
    ):
        if count:
            found.append(Trouble(_many(count, one, many), address, grave))
    if money["budget"] and money["today"] >= money["budget"] * 0.9 and get_settings().openai_api_key:
        found.append(Trouble("The day's budget for the remote engine is nearly spent (AURA_AI_BUDGET_DAY).", "/ai"))
    return found


def _many(count: int, one: str, many: str) -> str:
    return f"{number(count, queue_stats.MOST)} {one if count == 1 else many}"
