"""Pages /queues: jobs of each queue by state, throughput, pause and limit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

import actors
from actors.queues import check
from aura.errors import InvalidInput
from aura.jobs.actor import DurableActor
from aura.settings import get_settings
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import Fields, audited, integer, redirect
from aura.web.render import page
from db import diagnosis, queue_controls, queue_stats, reading, transaction
from db.diagnosis import Snapshot
from db.queue_controls import Control
from db.queue_stats import Backlog, Rate

router = APIRouter(prefix="/queues")

#: Seconds of the units of a pause.
UNITS = {"minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
STATES = ("scheduled", "available", "queued", "running", "retrying")


@lru_cache(maxsize=1)
def queue_of() -> Mapping[str, str]:
    """Return the queue of each durable actor."""
    declared = actors.broker.actors.items()
    return {name: actor.queue_name for name, actor in declared if isinstance(actor, DurableActor)}


def snapshot(session: Session) -> Snapshot:
    """Return the state that decides whether jobs run."""
    settings = get_settings()
    return diagnosis.snapshot(session, queue_of(), settings.worker_dead_after, settings.max_in_flight)


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_queues(request: Request) -> HTMLResponse:
    with reading() as session:
        current = snapshot(session)
        backlogs, rates = queue_stats.backlog(session, queue_of()), queue_stats.rates(session)
    names = sorted({*queue_of().values(), *current.controls})
    rows = [_row(name, backlogs, rates, current) for name in names]
    return page(request, "queues.html", queues=rows, units=UNITS, most=queue_stats.COUNT_LIMIT)


def _row(name: str, backlogs: dict[str, Backlog], rates: dict[str, Rate], current: Snapshot) -> dict[str, Any]:
    own = [actor for actor, queue in queue_of().items() if queue == name]
    backlog = [backlogs.get(actor, Backlog()) for actor in own]
    return {
        "name": name,
        "actors": own,
        **{state: sum(getattr(each, state) for each in backlog) for state in STATES},
        "oldest": max((each.oldest_seconds for each in backlog), default=0.0),
        "completed": sum(rates.get(actor, Rate()).completed for actor in own),
        "failed": sum(rates.get(actor, Rate()).failed for actor in own),
        "control": current.controls.get(name, Control(name)),
        "blocked": diagnosis.blocked(current, name),
    }


@router.post("/{queue}/pause")
@audited("queue.pause")
def pause_queue(queue: str, fields: Fields, who: Operator) -> RedirectResponse:
    amount = integer(fields, "amount", 1, 100_000)
    unit = UNITS.get(fields.get("unit", "minutes"))
    if unit is None:
        raise InvalidInput(f"unit: must be one of {', '.join(UNITS)}")
    with transaction() as session:
        check(session, queue)
        queue_controls.pause(session, queue, amount * unit if amount else None, fields.get("reason", ""), shorten=True)
    return redirect("/queues", f"Queue {queue} paused.")


@router.post("/{queue}/resume")
@audited("queue.resume")
def resume_queue(queue: str, who: Operator) -> RedirectResponse:
    with transaction() as session:
        check(session, queue)
        queue_controls.resume(session, queue)
    return redirect("/queues", f"Queue {queue} resumed.")


@router.post("/{queue}/limit")
@audited("queue.limit")
def limit_queue(queue: str, fields: Fields, who: Operator) -> RedirectResponse:
    jobs = integer(fields, "limit", 1, 2**31 - 1)
    with transaction() as session:
        check(session, queue)
        queue_controls.limit(session, queue, jobs)
    return redirect("/queues", f"Queue {queue}: limit {jobs}." if jobs else f"Queue {queue}: no limit.")
