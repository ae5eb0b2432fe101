"""The HTTP API under /api/v1: one router a file, each as thin as its command."""

from __future__ import annotations

from fastapi import APIRouter

from aura.web.api import ai, audit, bulk, dead_letters, events, jobs, queues, schedules, tickets, workers

router = APIRouter(prefix="/api/v1")
for room in (bulk, tickets, jobs, queues, dead_letters, schedules, ai, workers, audit, events):
    router.include_router(room.router)
