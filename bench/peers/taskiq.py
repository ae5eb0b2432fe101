"""TaskIQ on aio-pika, sending after the commit; `taskiq worker bench.peers.taskiq:broker`.

Its tasks are coroutines, and SQLAlchemy's session is not: each step runs in a thread. aio-pika confirms what it publishes.
"""

from __future__ import annotations

import asyncio
import atexit
from functools import lru_cache

from taskiq_aio_pika import AioPikaBroker

from bench.peers import steps

broker = AioPikaBroker(steps.rabbitmq_url(), qos=64)


@broker.task
async def intake(ticket_id: int) -> None:
    await asyncio.to_thread(steps.prepare, ticket_id)
    await classify.kiq(ticket_id)


@broker.task
async def classify(ticket_id: int) -> None:
    await asyncio.to_thread(steps.judge, ticket_id)
    await notify.kiq(ticket_id)


@broker.task
async def notify(ticket_id: int) -> None:
    for notification_id in await asyncio.to_thread(steps.notify, ticket_id):
        await email.kiq(notification_id)


@broker.task
async def email(notification_id: str) -> None:
    await asyncio.to_thread(steps.deliver, notification_id)


def send(ids: list[int]) -> None:
    _loop().run_until_complete(_send(ids))


async def _send(ids: list[int]) -> None:
    await asyncio.gather(*(intake.kiq(ticket_id) for ticket_id in ids))


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(broker.startup())
    atexit.register(lambda: loop.run_until_complete(broker.shutdown()))
    return loop
