"""A hanging external service takes at most its share of a worker's threads: other jobs run on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from aura.jobs.pipeline import Pipeline
from db import reading
from db.models import Job
from pipelines.embedded import running
from tests.conftest import wait_until
from tests.embedded import all_jobs

THREADS = 4
HANGING, OTHERS = 20, 30


class HangingProvider:
    """Lets everybody wait until the test is over, and counts who does."""

    def __init__(self) -> None:
        self.released, self.waiting, self.most = threading.Event(), 0, 0
        self._lock = threading.Lock()

    def ask(self, items: list[Any]) -> list[str]:
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.released.wait(300)
        with self._lock:
            self.waiting -= 1
        return ["answered" for _ in items]


@pytest.fixture
def provider() -> Iterator[HangingProvider]:
    provider = HangingProvider()
    yield provider
    provider.released.set()


def beside(broker: Any, declare: Callable[..., Any], provider: HangingProvider, **options: Any) -> Callable[[], bool]:
    """Enqueue jobs that call the provider, and jobs that do not. Returns a check whether the latter are completed."""

    def prepare(items: list[Any]) -> list[str]:
        return ["prepared" for _ in items]

    def other(items: list[Any]) -> list[str]:
        return ["done" for _ in items]

    def hanging(items: list[Any]) -> list[str]:
        return provider.ask(items)

    first = declare(prepare, queue_name="tests.first", batch=1)
    second = declare(hanging, queue_name="tests.hanging", batch=1, **options)
    others = declare(other, queue_name="tests.others", batch=1)
    for actor in (first, second, others):
        broker.declare_actor(actor)
    # half of it comes as a next step, which its worker dispatches locally
    Pipeline("asking", first, second).send_many(range(HANGING // 2))
    for number in range(HANGING // 2, HANGING):
        second.send(number)

    for number in range(OTHERS):
        others.send(number)

    def done() -> bool:
        with reading() as session:
            return session.scalar(select(Job.id).where(Job.actor == "other").limit(1)) is None

    return done


@pytest.mark.parametrize(("options", "share"), [({"bulkhead": 1 / 2}, THREADS // 2), ({"background": True}, 1)])
def test_a_hanging_service_takes_its_share_of_the_threads(
    declare: Callable[..., Any], broker: Any, provider: HangingProvider, options: dict[str, Any], share: int
):
    done = beside(broker, declare, provider, **options)

    with running(scheduler=False, threads=THREADS):
        wait_until(lambda: provider.waiting == share, timeout=90, message="its share of the threads waits")
        wait_until(done, timeout=90, message="the others are done")
        assert provider.most == share
        provider.released.set()
        wait_until(lambda: not all_jobs(), timeout=90, message="and what hung is done at last")

    assert provider.most == share


def test_without_a_bulkhead_a_hanging_service_takes_every_thread(
    declare: Callable[..., Any], broker: Any, provider: HangingProvider
):
    beside(broker, declare, provider)

    with running(scheduler=False, threads=THREADS):
        wait_until(lambda: provider.waiting == THREADS, timeout=90, message="every thread waits")
        provider.released.set()
        wait_until(lambda: not all_jobs(), timeout=90, message="and what hung is done at last")


@pytest.mark.parametrize(
    ("shares", "most"),
    # e-mail and one more channel; and so many that they could fill the worker
    [((3 / 8, 1 / 4), 5), ((1 / 2, 1 / 2, 1 / 2), 6)],
    ids=["two channels", "more than fit"],
)
def test_several_hanging_services_leave_threads_to_other_jobs(
    declare: Callable[..., Any], broker: Any, provider: HangingProvider, shares: tuple[float, ...], most: int
):
    hanging = [
        declare(named(f"hanging_{place}", provider.ask), queue_name=f"tests.{place}", batch=1, bulkhead=share)
        for place, share in enumerate(shares)
    ]
    prompt = [declare(named("other", lambda items: ["done" for _ in items]), queue_name="tests.others", batch=1)]
    if sum(shares) < 3 / 4:
        third = named("third", lambda items: ["sent" for _ in items])
        prompt.append(declare(third, queue_name="tests.third", batch=1, bulkhead=1 / 4))
    for actor in (*hanging, *prompt):
        broker.declare_actor(actor)
        for number in range(OTHERS if actor in prompt else HANGING):
            actor.send(number)

    def left(names: set[str]) -> bool:
        with reading() as session:
            return session.scalar(select(Job.id).where(Job.actor.in_(names)).limit(1)) is not None

    with running(scheduler=False, threads=8):
        wait_until(lambda: provider.waiting == most, timeout=90, message="their part of the threads waits")
        wait_until(lambda: not left({each.actor_name for each in prompt}), timeout=90, message="the others are done")
        assert provider.most == most
        provider.released.set()
        wait_until(lambda: not all_jobs(), timeout=90, message="and what hung is done at last")


def named(name: str, work: Callable[[list[Any]], list[str]]) -> Callable[[list[Any]], list[str]]:
    """Return the work as a function of this name, which is the actor's."""

    def run(items: list[Any]) -> list[str]:
        return work(items)

    run.__name__ = name
    return run
