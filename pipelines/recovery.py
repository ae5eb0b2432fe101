"""Recovery: a ticket that is neither finished, nor promised, nor a dead letter must not exist; if one does, start again.

The relay frees the jobs of dead workers and finds lost hints; this sweep is the proof that nothing fell between.
"""

from __future__ import annotations

import structlog

from db import reading, tickets
from pipelines.triage import triage

logger = structlog.get_logger("aura.recovery")

#: Seconds that a ticket may be without a promise before it counts as stranded.
GRACE = 120.0


def rescue_stranded() -> int:
    """Promise the journey again of every stranded ticket. Returns how many there were."""
    with reading() as session:
        stranded = tickets.without_job(session, GRACE, limit=1000)
    if stranded:
        logger.error(
            "tickets without a promise: their journey starts again", tickets=stranded[:20], count=len(stranded)
        )
        triage.send_many(stranded)
    return len(stranded)
