"""Re-analysis: another look at open tickets whose verdict is stale, uncertain or made by the engine that stepped in.

People are told again only when the category or the priority changed.
"""

from __future__ import annotations

from actors.tickets import notify, reanalyze
from db import reading, tickets
from pipelines.pipeline import Pipeline
from settings import get_settings

reanalysis = Pipeline("reanalysis", reanalyze, notify)

#: Most tickets of one night.
LIMIT = 10_000


def reanalyze_stale() -> int:
    """Promise another look at every ticket that is worth it, oldest verdict first. Returns how many."""
    settings = get_settings()
    with reading() as session:
        ids = tickets.stale(
            session, settings.reanalyse_after_days, settings.review_below, settings.openai_api_key is not None, LIMIT
        )
    reanalysis.send_many(ids)
    return len(ids)
