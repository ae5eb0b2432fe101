"""Re-analysis: another look at open tickets whose verdict is stale, uncertain or made by the engine that stepped in.

People are told again only when the category or the priority changed.
"""

from __future__ import annotations

from actors.tickets import notify, reanalyze
from db import reading, tickets
from pipelines.pipeline import Pipeline
from settings import get_settings

reanalysis = Pipeline("reanalysis", reanalyze, notify)

#: Most tickets of one night, and of one round of upgrades.
LIMIT, UPGRADES = 10_000, 500
#: Minutes after which the engine that could not answer is asked again.
UPGRADE_AFTER = 10.0


def reanalyze_stale() -> int:
    """Promise another look at every ticket that is worth it, oldest verdict first. Returns how many."""
    settings = get_settings()
    with reading() as session:
        ids = tickets.stale(
            session, settings.reanalyse_after_days, settings.review_below, settings.openai_api_key is not None, LIMIT
        )
    reanalysis.send_many(ids)
    return len(ids)


def upgrade() -> int:
    """Promise a second look at the tickets for which the local engine stepped in. Returns how many."""
    if get_settings().openai_api_key is None:
        return 0
    with reading() as session:
        ids = tickets.stepped_in(session, UPGRADE_AFTER, UPGRADES)
    reanalysis.send_many(ids)
    return len(ids)
