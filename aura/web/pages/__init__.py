"""The pages: server-side HTML, updated live in the browser, usable without JavaScript. One file per group of routes."""

from __future__ import annotations

from fastapi import APIRouter

from aura.web.pages import (
    account,
    ai,
    attachments,
    audit,
    dead_letters,
    export,
    incidents,
    jobs,
    login,
    overview,
    participants,
    queues,
    review,
    schedules,
    tickets,
    unsubscribe,
    workers,
)

router = APIRouter(include_in_schema=False)
for group in (overview, login, account, audit, export, tickets, attachments, participants, unsubscribe, review):
    router.include_router(group.router)
for group in (queues, jobs, dead_letters, schedules, workers, incidents, ai):
    router.include_router(group.router)
