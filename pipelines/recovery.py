"""Recovery: restarts the triage of tickets that are neither notified, nor have a job, nor a dead letter.

The relay frees the jobs of dead workers and redispatches lost hints, so no ticket should ever be found here.
"""

from __future__ import annotations

import structlog

from db import reading, tickets
from pipelines.triage import triage

logger = structlog.get_logger("aura.recovery")

#: Seconds without a job after which a ticket counts as stranded.
GRACE = 120.0
#: Maximum number of tickets in one run, and of their numbers in the log event.
LIMIT, LOGGED = 1_000, 20


def restart_stranded() -> int:
    """Start the triage of every stranded ticket again. Returns how many there were."""
    with reading() as session:
        stranded = tickets.without_job(session, GRACE, limit=LIMIT)
    if stranded:
        logger.error("stranded tickets restarted", tickets=stranded[:LOGGED], count=len(stranded))
        triage.send_many(stranded)
    return len(stranded)
