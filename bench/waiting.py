"""`python -m bench.waiting`: tickets a second with an AI provider that takes a second for each.

One worker command of two processes, on private servers; the provider counts its calls and the most of them in flight.
`AURA_AI_CONCURRENCY=0` shows the same with a call in each of the eight threads of a process.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import psutil

from bench.contenders import CONTENDERS
from bench.meter import cpu
from bench.rounds import Round
from bench.services import Servers
from tests.slow_provider import SlowProvider

CLASSIFIED = "SELECT count(*) FROM verdicts WHERE ticket_id > %s"
FALLBACKS = """
    SELECT coalesce(json_object_agg(fallback, n), '{}')
    FROM (
        SELECT fallback, count(*) AS n FROM verdicts WHERE fallback <> '' AND ticket_id > %s GROUP BY fallback
    ) AS fallbacks
"""
#: The seconds from the first to the last verdict of the middle 80 %, and their number: without the beginning and the end.
STEADY = """
    WITH ranked AS (
        SELECT created_at, percent_rank() OVER (ORDER BY created_at) AS rank FROM verdicts WHERE ticket_id > %s
    )
    SELECT count(*), extract(epoch FROM max(created_at) - min(created_at))::float FROM ranked WHERE rank BETWEEN 0.1 AND 0.9
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.waiting", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=3000, help="tickets of each round (3000)")
    parser.add_argument("--seconds", type=float, default=1.0, help="what the provider takes for each (1.0)")
    parser.add_argument("--concurrency", default="200", help="AURA_AI_CONCURRENCY of each round, such as 200,0 (200)")
    asked = parser.parse_args()
    with Servers() as servers:
        for concurrency in asked.concurrency.split(","):
            with SlowProvider(asked.seconds) as provider:
                environment = {
                    "OPENAI_API_KEY": "sk-bench",
                    "OPENAI_BASE_URL": provider.url,
                    "AI_MODEL": "test-model",
                    "AURA_AI_BUDGET_DAY": "1000",
                    "AURA_AI_CONCURRENCY": concurrency,
                }
                aura = CONTENDERS["aura"]
                contender = replace(aura, env={**aura.env, **environment})
                with Round(contender, servers) as round_:
                    report(round_, provider, asked.tickets, concurrency)
    return 0


def report(round_: Round, provider: SlowProvider, tickets: int, concurrency: str) -> None:
    """Measure one round, and print it."""
    round_.warm_up()
    before, used, machine = round_.last_id(), cpu(round_.workers.roots), psutil.cpu_times()
    start = time.perf_counter()
    round_.submit(tickets)
    round_.wait(lambda: round_.row(CLASSIFIED, before)[0] >= tickets, "verdicts")
    took = time.perf_counter() - start
    used = cpu(round_.workers.roots) - used
    count, seconds = round_.row(STEADY, before)
    busy = psutil.cpu_times()
    idle = (busy.idle - machine.idle) / took
    figures, [fallbacks] = provider.figures(), round_.row(FALLBACKS, before)
    print(
        f"concurrency {concurrency}: {tickets / took:.0f} tickets/s in all, {count / seconds:.0f} at the middle; "
        f"{figures.peak} calls in flight, {figures.calls} calls; {used / tickets * 1000:.1f} ms of worker CPU a ticket; "
        f"{idle:.1f} cores idle"
        f"{f'; fallbacks: {fallbacks}' if fallbacks else ''}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
