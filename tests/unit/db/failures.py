"""A failure, and the keys of due jobs."""

from __future__ import annotations

from db.jobs import Failure
from tests.embedded import (
    all_jobs,
    take_due,
)

FAILURE = Failure("Trouble", "it did not work", "Traceback ...", "fingerprint0")


def due(actor: str = "classify", limit: int = 100) -> list[str]:
    found = take_due(actor, limit)
    keys = {job.id: job.key for job in all_jobs()}
    return [keys[job_id] for job_id in found]
