"""`python -m bench.shares`: fair shares, the latency of others during a flood and the cost of a dispatch in turn.

1. One requester sends many tickets at once, and twenty others one each. Printed is how long the tickets of the others take,
   with shares and without.
2. The same dispatch from a backlog, by age alone and in turn, alternately and on the same rows (each is rolled back). Printed
   are the milliseconds, and how the claim and the enqueueing of jobs change with the index.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from rich.console import Console
from sqlalchemy import text
from sqlalchemy.orm import Session

from aura.settings import get_settings, given, use
from bench import page, results
from bench.contenders import CONTENDERS
from bench.rounds import FLOW, UNFINISHED, UNSENT, Round
from bench.services import Servers
from bench.submit import BATCH, ticket
from db import database, hints, jobs, transaction
from db.fair_shares import share_of
from db.jobs import NewJob

#: Due jobs of a measured dispatch, as many as the relay may have inside the broker.
LIMIT = 2_000
#: Requesters among which the backlog is divided.
REQUESTERS = (1, 2, 100, 1_000_000)
BACKLOG = """
    INSERT INTO jobs (actor, key, args, pipeline, next_steps, priority, share, due_at, created_at)
    SELECT 'intake', n::text, '[]', 'triage', '["classify", "notify"]', 0,
           (77::bigint << 32) | (hashint4(n % {requesters})::bigint & 4294967295), now(), now()
    FROM generate_series(1, {jobs}) AS n
"""


@contextmanager
def connected(url: str, vhost: str = "") -> Iterator[None]:
    """Use a database in this process."""
    more = {"RABBITMQ_URL": vhost} if vhost else {}
    use(given(env="development", DATABASE_URL=url, LOG_LEVEL="ERROR", **more))
    get_settings.cache_clear()
    try:
        yield
    finally:
        database.dispose()


def flood(servers: Servers, tickets_of_flood: int, others: int, shares: bool, window: int = 0) -> dict[str, float]:
    """Return milliseconds from storing to the last mail of the others' tickets, and the seconds of the flood."""
    from db import tickets
    from pipelines.triage import triage

    contender = CONTENDERS["aura"]
    if window:
        contender = replace(contender, env={**contender.env, "AURA_MAX_IN_FLIGHT": str(window)})
    with Round(contender, servers) as round_, connected(round_.database, round_.vhost):
        round_.warm_up()
        last = round_.last_id()

        def create(numbers: range, requester: Callable[[int], str]) -> list[int]:
            new = [ticket(number).model_copy(update={"requester": requester(number)}) for number in numbers]
            with transaction() as session:
                ids = tickets.create(session, "http", [(each, {}) for each in new])
                share = {
                    number: share_of("http:", each.requester) if shares else 0
                    for number, each in zip(ids, new, strict=True)
                }
                triage.send_many(ids, shares=share)
            return ids

        for start in range(0, tickets_of_flood, BATCH):
            create(range(start, min(start + BATCH, tickets_of_flood)), lambda _: "flood@example.com")
        chosen: list[int] = []
        for number in range(others):
            chosen += create(range(number, number + 1), lambda number: f"other{number}@example.com")
            time.sleep(0.05)
        # not each has two mails: duplicates and incidents have fewer
        round_.wait(lambda: not round_.row(UNFINISHED, last)[0], "unfinished tickets")
        round_.wait(lambda: not round_.row(UNSENT, last)[0], "unsent notifications")
        _, seconds, _, _ = round_.row(FLOW, last)
        only = FLOW.replace("t.id > %s", "t.id = ANY(%s)")
        _, _, _, (p50, p95, _) = round_.row(only, chosen)
    return {"shares": float(shares), "p50": p50, "p95": p95, "flood_seconds": seconds}


def dispatches(servers: Servers, backlog: int, rounds: int) -> list[dict[str, float]]:
    """Return the milliseconds of a dispatch by age and in turn, for a backlog of 1, 2, 100 and many requesters."""
    from actors import broker
    from aura.jobs.relay import Relay
    from tests.unit.jobs.shelf import Shelf

    found = []
    for requesters in REQUESTERS:
        url = servers.fresh_database()
        with connected(url), database.engine().connect() as connection:
            connection.execute(text(BACKLOG.format(requesters=min(requesters, backlog), jobs=backlog)))
            connection.commit()
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE jobs"))
            relay = Relay(broker, Shelf())
            took: dict[str, list[float]] = {"age": [], "turn": []}
            count = {"age": 0, "turn": 0}
            for _ in range(rounds + 1):
                for kind, dispatch in (("age", hints.dispatch), ("turn", relay._take)):
                    with Session(database.engine()) as session:
                        session.connection()
                        start = time.perf_counter()
                        count[kind] = len(dispatch(session, "intake", 0, LIMIT))
                        took[kind].append(time.perf_counter() - start)
                        session.rollback()
            age, turn = (median(took[kind][1:]) * 1000 for kind in ("age", "turn"))
            found.append(
                {"requesters": requesters, "age": age, "turn": turn, "jobs": count["turn"], "of": count["age"]}
            )
        servers.postgresql.drop_database(url)
    return found


def index_cost(servers: Servers, rounds: int, count: int = 2_000) -> dict[str, float]:
    """Return microseconds of a job's enqueueing, dispatch and claim with the index of shares and without it."""
    urls = {"with": servers.fresh_database(), "without": servers.fresh_database()}
    took: dict[str, list[float]] = {f"{what} {how}": [] for how in urls for what in ("enqueue", "dispatch", "claim")}
    for number in range(rounds + 1):
        for how, url in urls.items():
            with connected(url):
                with transaction() as session:
                    if how == "without":
                        session.execute(text("DROP INDEX IF EXISTS ix_jobs_share"))
                new = [NewJob("intake", f"{number} {place}", share=place) for place in range(count)]
                for what in ("enqueue", "dispatch", "claim"):
                    with transaction() as session:
                        session.execute(text("SELECT 1 FROM jobs LIMIT 1"))
                        start = time.perf_counter()
                        if what == "enqueue":
                            jobs.enqueue(session, new)
                        elif what == "dispatch":
                            ids = [job.id for job in hints.dispatch(session, "intake", 0, count)]
                        else:
                            jobs.claim(session, "intake", ids, "lease", "worker")
                    took[f"{what} {how}"].append((time.perf_counter() - start) / count * 1e6)
    for url in urls.values():
        servers.postgresql.drop_database(url)
    return {name: median(each[1:]) for name, each in took.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.shares", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=20_000, help="tickets of the flood (20,000)")
    parser.add_argument("--others", type=int, default=20, help="tickets of others (20)")
    parser.add_argument("--backlog", type=int, default=200_000, help="due jobs of the measured dispatch (200,000)")
    parser.add_argument("--rounds", type=int, default=9, help="dispatches of each kind (9)")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers() as servers, Console(stderr=True).status("starting") as status:
        found: dict[str, Any] = results.surroundings(servers)
        status.update("dispatches")
        found["dispatches"] = dispatches(servers, asked.backlog, asked.rounds)
        found["index"] = index_cost(servers, asked.rounds)
        print(json.dumps(results.rounded(found), indent=2), file=sys.stderr)
        found["flood"] = []
        for shares in (False, True):
            status.update(f"flood {'with' if shares else 'without'} shares")
            found["flood"].append(flood(servers, asked.tickets, asked.others, shares))
    found |= {"tickets": asked.tickets, "others": asked.others, "backlog": asked.backlog}
    print(json.dumps(results.rounded(found), indent=2))
    if not asked.dry:
        page.write(results.store("shares", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
