"""Fair shares: the sources and requesters with due jobs, and the jobs of a source that are dispatched in turn."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from db import fair_shares, hints, transaction
from db.fair_shares import REQUESTER_BITS, share_of, source_part
from db.ids import MAX_ID
from db.jobs import NewJob
from db.models import Job
from db.time import from_now
from tests.embedded import all_jobs, claim, enqueue

pytestmark = pytest.mark.usefixtures("database")


def new_jobs(source: str, requester: str, count: int, **more: int) -> list[NewJob]:
    share = share_of(source, requester)
    return [NewJob("intake", f"{source}:{requester}:{number}", share=share, **more) for number in range(count)]


def sources() -> list[int]:
    with transaction() as session:
        return fair_shares.waiting_sources(session, "intake", 0)


def take(source: str, limit: int, after: int = -1) -> tuple[Counter[int], int]:
    with transaction() as session:
        found, behind = fair_shares.dispatch_source(session, "intake", 0, source_part(share_of(source)), limit, after)
    return Counter(job.share for job in found), behind


@given(st.text(), st.text(), st.text())
def test_a_share_fits_into_its_column_and_names_its_source(source: str, requester: str, other: str):
    share = share_of(source, requester)
    assert 0 <= share <= MAX_ID
    assert source_part(share) == source_part(share_of(source, other)), "side by side in the index"


def test_the_same_requester_has_the_same_share():
    assert share_of("http:", " Ada@Example.com ") == share_of("http:", "ada@example.com")
    assert share_of("http:", "ada@example.com") != share_of("http:", "bob@example.com")
    assert share_of("http:", "ada@example.com") != share_of("email", "ada@example.com")
    assert share_of("http:", "\ud800") >= 0, "a lone surrogate has a share"


def test_sources_with_due_jobs_are_found_once_each():
    enqueue(
        *new_jobs("http:", "ada", 3),
        *new_jobs("http:", "bob", 3),
        *new_jobs("email", "ada", 1),
        *new_jobs("import", "ada", 2, delay=60),
        *[NewJob("classify", "1", share=share_of("cli"))],
        NewJob("intake", "without a ticket"),
    )
    assert sorted(sources()) == sorted([0, source_part(share_of("http:")), source_part(share_of("email"))])
    claim("intake", *[job.id for job in all_jobs() if job.share == share_of("email", "ada")])
    assert source_part(share_of("email")) not in sources()


def test_each_requester_of_a_source_gets_equally_many_jobs():
    enqueue(*new_jobs("http:", "ada", 50), *new_jobs("http:", "bob", 50), *new_jobs("http:", "cleo", 2))
    enqueue(*new_jobs("email", "ada", 50))
    taken, _ = take("http:", 12)
    assert taken == {share_of("http:", "ada"): 4, share_of("http:", "bob"): 4, share_of("http:", "cleo"): 2}


def test_a_dispatch_of_one_job_takes_another_requester_each_time():
    names = ["ada", "bob", "cleo", "dan"]
    for name in names:
        enqueue(*new_jobs("http:", name, 10))
    behind, order = -1, []
    for _ in range(8):
        taken, behind = take("http:", 1, behind)
        order += list(taken)
    assert set(order[:4]) == {share_of("http:", name) for name in names}
    assert order[4:] == order[:4], "after the last it begins again"


def test_the_longest_due_job_of_a_requester_is_dispatched_first():
    enqueue(*new_jobs("http:", "ada", 3))
    with transaction() as session:
        session.execute(update(Job).where(Job.key == "http::ada:2").values(due_at=from_now(-60)))
    with transaction() as session:
        [first] = fair_shares.dispatch_source(session, "intake", 0, source_part(share_of("http:")), 1)[0]
    assert next(job.key for job in all_jobs() if job.id == first.id) == "http::ada:2"


def test_a_suspect_a_hinted_and_a_later_job_are_passed_over():
    enqueue(*new_jobs("http:", "ada", 4))
    suspect, hinted, later, due = (job.id for job in all_jobs())
    with transaction() as session:
        session.execute(update(Job).where(Job.id == suspect).values(crashes=hints.SUSPECT_AFTER))
        session.execute(update(Job).where(Job.id == hinted).values(hinted_at=from_now(0)))
        session.execute(update(Job).where(Job.id == later).values(due_at=from_now(60)))
        found, _ = fair_shares.dispatch_source(session, "intake", 0, source_part(share_of("http:")), 10)
    assert [job.id for job in found] == [due]
    assert take("http:", 10)[0] == {}
    assert sources() == []


def test_the_shares_of_the_last_source_are_found(monkeypatch: pytest.MonkeyPatch):
    last = MAX_ID
    enqueue(NewJob("intake", "1", share=last), NewJob("intake", "2", share=last >> REQUESTER_BITS << REQUESTER_BITS))
    assert sources() == [source_part(last)]
    with transaction() as session:
        found, behind = fair_shares.dispatch_source(session, "intake", 0, source_part(last), 2, after=last)
    assert len(found) == 2
    assert behind == last
