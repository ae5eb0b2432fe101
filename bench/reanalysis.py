"""`python -m bench.reanalysis`: the delay of new tickets by the re-analysis of 10,000 old ones.

New tickets come at a steady rate, now with and now without the others due for re-analysis at the same moment. Printed is how
long the new ones took in each round, and the ratio of the medians; it is written to bench/results.json and
docs/explanation/performance.md. With more than 1.2 the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from statistics import median
from typing import Any

from rich.console import Console

from actors.reanalyze import batch_size
from aura.settings import get_settings
from bench import page, results
from bench.contenders import CONTENDERS
from bench.load import Pattern
from bench.rounds import STEADY, Round
from bench.services import Servers
from db.jobs import CHANNEL
from pipelines.reanalysis import PACE

#: How much longer new tickets may take, at p95.
ALLOWED = 1.2
STALE = """
    INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at)
    SELECT 'reanalyze', id::text, '["its verdict was old"]', 'reanalysis', '["notify"]', 0,
           clock_timestamp() + (row_number() OVER (ORDER BY id) - 1) / %s * %s * interval '1 second', clock_timestamp()
    FROM tickets WHERE stage = 'notified' ORDER BY id LIMIT %s
"""
LEFT = "SELECT count(*) FROM jobs WHERE actor = 'reanalyze'"


def measure(round_: Round, backlog: int, seconds: float) -> dict[str, Any]:
    """Return how long new tickets took, while so many others are reanalyzed."""
    if backlog:
        with round_.connection.cursor() as cursor:
            together = batch_size(get_settings())
            cursor.execute(STALE, (together, together / PACE, backlog))
            cursor.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
    latency = round_.latency(STEADY, seconds)
    left = int(round_.row(LEFT)[0])
    with round_.connection.cursor() as cursor:
        # the next round begins with none
        cursor.execute("DELETE FROM jobs WHERE actor = 'reanalyze' AND lease IS NULL")
    round_.wait(lambda: round_.row(LEFT) == (0,), "tickets that were not reanalyzed")
    return {"backlog": backlog, "looked_at": backlog - left, "p50": latency.p50, "p95": latency.p95}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.reanalysis", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backlog", type=int, default=10_000, help="tickets that are reanalyzed (10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind, in turn (3)")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long new tickets come in each (8)")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers() as servers, Console(stderr=True).status("starting") as status:
        where = results.surroundings(servers)
        with Round(CONTENDERS["aura"], servers) as round_, round_.connection.cursor() as cursor:
            round_.warm_up()
            Pattern(cursor, round_.last_id()).finished(asked.backlog)
            cursor.execute("VACUUM ANALYZE")
            measured = []
            for number in range(asked.rounds):
                for backlog in (0, asked.backlog):
                    status.update(f"round {number + 1}, {backlog:,} tickets reanalyzed")
                    measured.append(measure(round_, backlog, asked.seconds))
    p95 = {kind: median(each["p95"] for each in measured if bool(each["backlog"]) == kind) for kind in (False, True)}
    ratio = p95[True] / p95[False]
    found = {"ratio": ratio, "p95_alone": p95[False], "p95_beside": p95[True], "rounds": measured, **where}
    found |= {"rate": STEADY, "seconds": asked.seconds}
    print(json.dumps(results.rounded(found), indent=2))
    if not asked.dry:
        page.write(results.store("reanalysis", found))
    return 0 if ratio <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
