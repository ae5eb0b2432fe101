"""The actor `reanalyze`: asks the engine again about tickets whose verdict is stale, after all new tickets."""

from __future__ import annotations

from fractions import Fraction

from sqlalchemy.orm import Session

from actors import analysis, classify
from actors.analysis import Analysis, NotClassified, Question
from aura.ai import EngineError, Verdict
from aura.jobs.actor import JobResult, durable
from aura.settings import Settings
from db import tickets
from db.tickets import TicketRow

#: Most tickets of one hint, so that a new ticket waits for a short attempt only.
BATCH_LIMIT = 10
#: Priority among the messages that a worker holds; Dramatiq takes the lowest number first.
LOWEST_PRIORITY = 100
#: The share of the calls in flight, so that new tickets have the others.
SHARE = Fraction(1, 4)


def batch_size(settings: Settings) -> int:
    """Return the tickets of one hint."""
    return min(classify.batch_size(settings), BATCH_LIMIT)


def save_reanalyzed(session: Session, done: list[JobResult]) -> None:
    """Save the new verdicts (see `actors.analysis.save_reanalyzed`)."""
    analysis.save_reanalyzed(session, done, reanalyze.queue_name)


def reanalyze_together(batch: list[TicketRow]) -> list[Analysis | NotClassified]:
    """Ask the engine again about each ticket."""
    return analysis.analyze(batch, analysis.reclassify_batch(batch))


@durable(
    queue_name="ai.reanalyze",
    load=tickets.load,
    save=save_reanalyzed,
    batch=batch_size,
    background=True,
    priority=LOWEST_PRIORITY,
    time_limit=analysis.time_limit,
    concurrency=analysis.concurrency,
    bulkhead=SHARE,
    in_batches=reanalyze_together,
    prepare=analysis.prepare_again,
    finish=analysis.analyze,
)
async def reanalyze(question: Question) -> Verdict | EngineError:
    """Ask the remote engine again about one ticket."""
    return await question.engine.reclassify(question.prepared)
