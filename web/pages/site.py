"""All pages of the dashboard, as one router."""

from __future__ import annotations

from fastapi import APIRouter

from web.pages import clockwork, dead, entrance, export, intelligence, overview, queues, review, tickets

router = APIRouter()
for room in (overview, entrance, export, tickets, review, queues, dead, clockwork, intelligence):
    router.include_router(room.router)
