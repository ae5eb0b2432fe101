"""The actor `classify`: asks the engine for the category and priority of every new ticket.

With a remote engine its jobs are asynchronous: each waits for the provider on the event loop, and a worker process has up to
AURA_AI_CONCURRENCY of them in flight. The local engine classifies a batch in a worker's thread.
"""

from __future__ import annotations

from actors import analysis
from actors.analysis import Analysis, NotClassified, Question
from aura.ai import Verdict
from aura.jobs.actor import durable
from aura.settings import Settings
from db import tickets
from db.tickets import TicketRow

#: Jobs in flight for each ticket in a hint of asynchronous jobs: a hint waits until all its tickets have a slot.
SLOTS_PER_TICKET = 20


def batch_size(settings: Settings) -> int:
    """Return the tickets of one hint; a remote engine takes seconds for each, so workers share them in small batches."""
    if not settings.openai_api_key:
        return settings.jobs_per_hint
    return max(1, min(settings.jobs_per_hint, settings.ai_concurrency // SLOTS_PER_TICKET))


def classify_together(batch: list[TicketRow]) -> list[Analysis | NotClassified]:
    """Ask the engine for a verdict on each ticket."""
    return analysis.analyze(batch, analysis.classify_batch(batch))


@durable(
    queue_name="ai.classify",
    load=tickets.load,
    save=analysis.save,
    batch=batch_size,
    time_limit=analysis.time_limit,
    concurrency=analysis.concurrency,
    in_batches=classify_together,
    prepare=analysis.prepare,
    finish=analysis.analyze,
)
async def classify(question: Question) -> Verdict:
    """Ask the remote engine for a verdict on one ticket."""
    return await question.engine.classify(question.prepared)
