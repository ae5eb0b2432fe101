"""The actor `classify`: asks the engine for the category and priority of every new ticket."""

from __future__ import annotations

from actors import analysis
from actors.analysis import Analysis, NotClassified
from aura.jobs.actor import durable
from aura.settings import Settings
from db import tickets
from db.tickets import TicketRow


def batch_size(settings: Settings) -> int:
    """Return the tickets of one hint; a remote engine takes seconds for each, so workers share them one by one."""
    return 1 if settings.openai_api_key else settings.jobs_per_hint


@durable(queue_name="ai.classify", load=tickets.load, save=analysis.save, batch=batch_size)
def classify(batch: list[TicketRow]) -> list[Analysis | NotClassified]:
    """Ask the engine for a verdict on each ticket."""
    return analysis.analyze(batch, analysis.classify_batch(batch))
