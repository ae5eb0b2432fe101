"""Re-analysis: another look at tickets not done whose verdict is stale, uncertain or made by the engine that stepped in.

Each look says why it was taken, and people are told again only when the category or the priority changed. More than
AURA_AI_BATCH_ABOVE tickets go to the provider together, later and cheaper (`actors.batch_analysis`).
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
from db import reanalysis as stale
from db.jobs import NewJob
from db.reanalysis import RemoteEngine, StaleVerdict

reanalysis = Pipeline("reanalysis", reanalyze, notify)

#: Most tickets of one night, and of one round of upgrades or changes.
LIMIT, UPGRADES = 10_000, 500
#: Minutes after which the engine that could not answer is asked again.
UPGRADE_AFTER = 10.0
#: Most tickets of one file that is sent to the provider.
FILE = 2_000
#: Tickets that become due each second, in groups of as many as a worker takes at a time.
PACE = 10.0
#: What somebody has just added goes before what is merely old.
CHANGED_PRIORITY = 5


def reanalyze_stale() -> int:
    """Promise another look at every ticket that is worth it, oldest verdict first. Returns how many."""
    settings = get_settings()
    remote = RemoteEngine(settings.ai_model, VERSION) if settings.openai_api_key else None
    with transaction() as session:
        found = stale.stale_verdicts(session, settings.reanalyze_after_days, settings.review_below, remote, LIMIT)
        under_way = analysis_batches.pending_tickets(session)
        found = [each for each in found if each.id not in under_way]
        if remote is None or not 0 < settings.ai_batch_above < len(found):
            _promise(found)
            return len(found)
        rest = iter(found)
        while together := list(islice(rest, FILE)):
            batch = analysis_batches.plan(session, remote.model, remote.prompt_version, together)
            jobs.enqueue(session, [NewJob(advance.actor_name, str(batch))])
    return len(found)


def reanalyze_one(session: Session, ticket_id: int, why: str) -> int:
    """Promise another look at one ticket, before what is merely old, and return the job's number."""
    _promise([StaleVerdict(ticket_id, why)], CHANGED_PRIORITY)
    return jobs.number_of(session, reanalyze.actor_name, str(ticket_id), reanalysis.name)


def reanalyze_changed() -> int:
    """Promise another look at the tickets whose text changed or that got a comment. Returns how many."""
    with reading() as session:
        found = stale.changed_tickets(session, UPGRADES)
    _promise(found, CHANGED_PRIORITY)
    return len(found)


def upgrade() -> int:
    """Promise a second look at the tickets for which the local engine stepped in. Returns how many."""
    if get_settings().openai_api_key is None:
        return 0
    with reading() as session:
        found = stale.fallback_verdicts(session, UPGRADE_AFTER, UPGRADES)
    _promise(found)
    return len(found)


def delay(place: int) -> float:
    """Return after how many seconds the ticket at this place is due."""
    together = batch_size(get_settings())
    return place // together * together / PACE


def _promise(found: Sequence[StaleVerdict], priority: int = 0) -> None:
    first, *rest = (step.actor_name for step in reanalysis.steps)
    with transaction() as session:
        jobs.enqueue(
            session,
            [
                NewJob(first, str(each.id), [each.reason], reanalysis.name, tuple(rest), priority, delay(place))
                for place, each in enumerate(found)
            ],
        )
