"""The HTTP API under /api/v1: one file per resource, each a thin layer over the same functions as its command."""

from __future__ import annotations

from fastapi import APIRouter

from aura.web.api import (
    ai,
    attachments,
    audit,
    auth,
    bulk,
    dead_letters,
    events,
    jobs,
    mail,
    notifications,
    participants,
    queues,
    schedules,
    tickets,
    workers,
)

router = APIRouter(prefix="/api/v1")
for resource in (bulk, tickets, attachments, jobs, queues, dead_letters, schedules, ai, workers, audit, events):
    router.include_router(resource.router)
for resource in (auth, notifications, mail, participants):
    router.include_router(resource.router)
