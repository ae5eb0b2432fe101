"""Learned footers: found in recent tickets by a scheduled job, and left out by every worker.

The keys of the lines are in the shared state of the database, so that a worker reads a few kilobytes every FOLLOW seconds.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from aura.ai.text.content import learned
from aura.jobs.ttl_cache import TTLCache
from db import shared_state, ticket_texts, transaction

#: The key of the shared state, and the seconds that it holds the footers: they are learned every night.
KEY, SECONDS = "learned_footers", 30 * 86_400.0
#: Tickets that are read, the newest.
TICKETS = 3_000
#: Seconds until a worker reads the footers again.
FOLLOW = 300.0


def learn_footers() -> int:
    """Learn the footers of recent tickets. Returns their number."""
    with transaction() as session:
        footers = learned.learn(ticket_texts.recent_descriptions(session, TICKETS))
        shared_state.put(session, KEY, " ".join(footers), SECONDS)
    return len(footers)


def _use(session: Session) -> bool:
    learned.use((shared_state.text(session, KEY) or "").split())
    return True


#: Leaves out the footers that were learned last; reads them at most every FOLLOW seconds.
follow_footers = TTLCache(FOLLOW, _use)
