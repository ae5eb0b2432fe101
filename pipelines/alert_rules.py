"""Alert rules for installations without Prometheus: those of deploy/prometheus/alerts.yml, evaluated on the database.

A rule returns a text while its condition holds, else "". `AuraDatabaseDown` is evaluated by `pipelines.alerts`, which cannot
ask a database that does not answer. The other rules of the file are in NOT_EVALUATED with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

import actors
from aura.settings import get_settings
from db import (
    ai_costs,
    alert_figures,
    clock_jumps,
    fence,
    inbound_mails,
    notifications,
    outbox,
    queue_controls,
    queue_stats,
)
from db.process_stats import count_live, oldest_due_seconds, problems

MINUTE, HOUR = 60.0, 3600.0
#: The actors through which every ticket goes.
TICKET_ACTORS = ("intake", "classify", "notify")
DATABASE_DOWN = "AuraDatabaseDown"
#: Seconds without the database until it counts as down.
DATABASE_DOWN_AFTER = MINUTE
#: Rules of the file that the scheduler cannot evaluate.
NOT_EVALUATED = {
    "AuraDown": "the scheduler sends no request to the web process",
    "AuraNoScheduler": "without a scheduler nobody evaluates rules",
    "AuraLostHints": "only the counters of the relay know them; a job that is late fires AuraWorkWaits",
}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A condition, and the seconds for which it must hold until the alert fires."""

    name: str
    seconds: float
    summary: str
    condition: Callable[[Session], str]


def _no_process(kind: str) -> Callable[[Session], str]:
    def condition(session: Session) -> str:
        settings = get_settings()
        if settings.embedded:  # relay and workers are threads of the process that evaluates this
            return ""
        return "" if count_live(session, kind, settings.worker_dead_after) else f"no {kind} has a recent heartbeat"

    return condition


def _relay_lags(session: Session) -> str:
    oldest = oldest_due_seconds(session)
    if oldest <= 120 or any(control.paused for control in queue_controls.current(session).values()):
        return ""
    return f"the oldest available job waits {oldest:.0f} s for a hint"


def _work_waits(session: Session) -> str:
    backlog = queue_stats.backlog(session, [actor for actor in TICKET_ACTORS if actor in actors.broker.actors])
    late = {actor: each.oldest_seconds for actor, each in backlog.items() if each.oldest_seconds > 300}
    return ", ".join(f"{actor} is {seconds:.0f} s behind" for actor, seconds in sorted(late.items()))


def _dead_letters(session: Session) -> str:
    count = alert_figures.new_dead_letters(session, 15 * MINUTE)
    return f"{count} jobs became dead letters within 15 minutes" if count > 10 else ""


def _in_doubt(session: Session) -> str:
    count = notifications.in_doubt_count(session)
    return f"{count} notifications are in doubt" if count else ""


def _events_wait(session: Session) -> str:
    seconds = outbox.oldest(session)
    return f"the oldest event waits {seconds:.0f} s" if seconds > 300 else ""


def _retries(session: Session) -> str:
    shares = alert_figures.retried_shares(session, 10 * MINUTE)
    return ", ".join(f"{share:.0%} of the attempts of {actor} fail" for actor, share in shares.items() if share > 0.2)


def _workers_crash(session: Session) -> str:
    count = alert_figures.crashes(session, 15 * MINUTE)
    return f"{count} attempts ended with their worker within 15 minutes" if count > 20 else ""


def _fallback(session: Session) -> str:
    share = alert_figures.fallback_share(session, 15 * MINUTE)
    return f"{share:.0%} of the verdicts are fallbacks" if share > 0.5 else ""


def _budget(session: Session) -> str:
    budget = get_settings().ai_budget_day
    spent = ai_costs.spent_today(session) if budget else 0.0
    return f"{spent:.2f} of {budget:.2f} US dollars are spent" if budget and spent > 0.8 * budget else ""


def _sender_limit(session: Session) -> str:
    count = inbound_mails.over_sender_limit(session)
    return f"{count} mails were ignored within an hour" if count else ""


def _clock(session: Session) -> str:
    count = clock_jumps.future_jobs(session)
    return (
        f"{count} jobs are due in the future though never tried: the clock of the database went back" if count else ""
    )


def _failover(session: Session) -> str:
    seconds = fence.last_event_age(session, HOUR)
    return f"it was promoted or restored {seconds / MINUTE:.0f} minutes ago" if seconds is not None else ""


def _process_problems(session: Session) -> str:
    return "; ".join(problems(session, get_settings().worker_dead_after))


RULES = (
    AlertRule(
        "AuraDatabaseFailover", 0, "The database was promoted or restored; the last commits may be missing", _failover
    ),
    AlertRule("AuraNoRelay", 2 * MINUTE, "No relay is running, so enqueued jobs are not started", _no_process("relay")),
    AlertRule("AuraNoWorkers", 2 * MINUTE, "No worker is running", _no_process("worker")),
    AlertRule(
        "AuraRelayLags",
        5 * MINUTE,
        "Due jobs wait for a hint; RabbitMQ is down, or AURA_MAX_IN_FLIGHT is reached",
        _relay_lags,
    ),
    AlertRule(
        "AuraProcessProblem",
        2 * MINUTE,
        "A worker or a relay cannot work; RabbitMQ blocks publishers or refuses a queue",
        _process_problems,
    ),
    AlertRule("AuraWorkWaits", 5 * MINUTE, "Tickets wait for more than five minutes", _work_waits),
    AlertRule(
        "AuraDeadLetters", 0, "More than ten jobs became dead letters within a quarter of an hour", _dead_letters
    ),
    AlertRule("AuraInDoubt", 10 * MINUTE, "Notifications are in doubt; a person resends or settles them", _in_doubt),
    AlertRule("AuraEventsWait", 5 * MINUTE, "Events are not published to other services", _events_wait),
    AlertRule("AuraRetries", 15 * MINUTE, "20 percent of the attempts of an actor fail", _retries),
    AlertRule("AuraWorkersCrash", 0, "Workers crash while they run jobs", _workers_crash),
    AlertRule(
        "AuraFallback",
        15 * MINUTE,
        "Half of the calls of OpenAI fail; the local engine classifies as fallback",
        _fallback,
    ),
    AlertRule("AuraBudget", 0, "80 percent of the daily budget for OpenAI is spent", _budget),
    AlertRule("AuraMailLimit", 0, "Mails are ignored: their sender is over AURA_MAIL_SENDER_LIMIT", _sender_limit),
    AlertRule("AuraTimeJump", MINUTE, "Jobs are due in the future, because a clock went back", _clock),
)
#: What each alert says.
SUMMARIES = {rule.name: rule.summary for rule in RULES} | {
    DATABASE_DOWN: "The database does not answer, or takes no writes; no ticket can be accepted"
}


def evaluate(session: Session) -> dict[str, tuple[str, float]]:
    """Return the conditions that hold: a text, and the seconds until the alert fires, by name."""
    found = ((rule, rule.condition(session)) for rule in RULES)
    return {rule.name: (text, rule.seconds) for rule, text in found if text}
