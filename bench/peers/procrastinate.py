"""procrastinate: jobs in PostgreSQL, no broker; `procrastinate --app=bench.peers.procrastinate.app worker`.

Its worker is asyncio, and SQLAlchemy's session is not: each step runs in a thread. What follows is deferred after the commit.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from procrastinate import App, PsycopgConnector
from procrastinate.types import JSONDict

from bench.peers import steps

app = App(connector=PsycopgConnector(conninfo=steps.database_url()))


@app.task(queue="tickets")
async def intake(ticket_id: int) -> None:
    await asyncio.to_thread(steps.prepare, ticket_id)
    await classify.defer_async(ticket_id=ticket_id)


@app.task(queue="tickets")
async def classify(ticket_id: int) -> None:
    await asyncio.to_thread(steps.judge, ticket_id)
    await notify.defer_async(ticket_id=ticket_id)


@app.task(queue="tickets")
async def notify(ticket_id: int) -> None:
    ids = await asyncio.to_thread(steps.notify, ticket_id)
    mails: list[JSONDict] = [{"notification_id": notification_id} for notification_id in ids]
    await email.batch_defer_async(*mails)


@app.task(queue="tickets")
async def email(notification_id: str) -> None:
    await asyncio.to_thread(steps.deliver, notification_id)


def send(ids: list[int]) -> None:
    _opened()
    jobs: list[JSONDict] = [{"ticket_id": ticket_id} for ticket_id in ids]
    intake.batch_defer(*jobs)


@lru_cache(maxsize=1)
def _opened() -> App:
    return app.open()
