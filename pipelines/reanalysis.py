"""Re-analysis: classifies open tickets again whose verdict is old, uncertain, or made by the local engine as fallback.

Each job carries its reason. Notifications are sent only when the category or the priority changed. More than
AURA_AI_BATCH_ABOVE tickets use the provider's Batch API, later and cheaper (`actors.batch_analysis`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sqlalchemy.orm import Session

from actors.batch_analysis import advance
from actors.notify import notify
from actors.reanalyze import batch_size, reanalyze
from aura.ai.engines.prompt import VERSION
from aura.jobs.pipeline import Pipeline
from aura.settings import get_settings
from db import analysis_batches, jobs, reading, transaction
from db import reanalysis as selection
from db.jobs import NewJob
from db.reanalysis import RemoteEngine, StaleVerdict

reanalysis = Pipeline("reanalysis", reanalyze, notify)

#: Maximum number of tickets of one night, and of one run of reclassify or reanalyze_changed.
NIGHT_LIMIT, RUN_LIMIT = 10_000, 500
#: Minutes after a fallback verdict until the remote engine is asked again.
RECLASSIFY_AFTER = 10.0
#: Maximum number of tickets in one file of the Batch API.
FILE_LIMIT = 2_000
#: Tickets that become due per second, in groups of one batch of a worker.
PACE = 10.0
#: Tickets that a person just changed come before old ones.
CHANGED_PRIORITY = 5


def reanalyze_stale() -> int:
    """Enqueue the re-analysis of every ticket with a stale verdict, the oldest first. Returns how many."""
    settings = get_settings()
    remote = RemoteEngine(settings.ai_model, VERSION) if settings.remote_engine else None
    with transaction() as session:
        stale = selection.stale_verdicts(
            session, settings.reanalyze_after_days, settings.review_below, remote, NIGHT_LIMIT
        )
        in_batches = analysis_batches.pending_tickets(session)
        stale = [each for each in stale if each.id not in in_batches]
        if remote is None or not 0 < settings.ai_batch_above < len(stale):
            _enqueue(stale)
            return len(stale)
        rest = iter(stale)
        while file := list(islice(rest, FILE_LIMIT)):
            batch = analysis_batches.plan(session, remote.model, remote.prompt_version, file)
            jobs.enqueue(session, [NewJob(advance.actor_name, str(batch))])
    return len(stale)


def reanalyze_one(session: Session, ticket_id: int, why: str) -> int:
    """Enqueue the re-analysis of one ticket, before those of old tickets. Returns the number of the job."""
    _enqueue([StaleVerdict(ticket_id, why)], CHANGED_PRIORITY)
    return jobs.number_of(session, reanalyze.actor_name, str(ticket_id), reanalysis.name)


def reanalyze_changed() -> int:
    """Enqueue the re-analysis of tickets with a changed text or a new comment. Returns how many."""
    with reading() as session:
        changed = selection.changed_tickets(session, RUN_LIMIT)
    _enqueue(changed, CHANGED_PRIORITY)
    return len(changed)


def reclassify() -> int:
    """Enqueue the re-analysis of tickets that the local engine classified as fallback. Returns how many."""
    if not get_settings().remote_engine:
        return 0
    with reading() as session:
        fallbacks = selection.fallback_verdicts(session, RECLASSIFY_AFTER, RUN_LIMIT)
    _enqueue(fallbacks)
    return len(fallbacks)


def delay(position: int) -> float:
    """Return after how many seconds the ticket at this position is due."""
    together = batch_size(get_settings())
    return position // together * together / PACE


def _enqueue(stale: Sequence[StaleVerdict], priority: int = 0) -> None:
    first, *rest = (step.actor_name for step in reanalysis.steps)
    with transaction() as session:
        jobs.enqueue(
            session,
            [
                NewJob(first, str(each.id), [each.reason], reanalysis.name, tuple(rest), priority, delay(position))
                for position, each in enumerate(stale)
            ],
        )
