"""All pages of the dashboard, as one router."""

from __future__ import annotations

from fastapi import APIRouter

from aura.web.pages import ai, dead_letters, export, login, overview, queues, review, schedules, tickets

router = APIRouter()
for room in (overview, login, export, tickets, review, queues, dead_letters, schedules, ai):
    router.include_router(room.router)
