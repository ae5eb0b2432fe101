"""`python -m bench.hanging`: the delay of other channels while one hangs.

Tickets come at a steady rate; each is notified of by e-mail, webhook and Slack. In every other round the server behind Slack
answers nothing. Printed is how long e-mail and webhook took, from the ticket to the message, and the ratio of the p95; it is
written to bench/results.json and docs/explanation/performance.md. With more than 1.2 the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from rich.console import Console

from bench import page, results
from bench.contenders import CONTENDERS
from bench.rounds import Round
from bench.services import Servers
from tests.receiver import Arrived, Receiver, Reply

#: How much longer the others may take, at p95.
ALLOWED = 1.2
ENDPOINT = (
    "INSERT INTO endpoints (name, channel, url, secret, old_secret, changed_at) VALUES (%s, %s, %s, '', '', now())"
)
SUBSCRIPTION = """
    INSERT INTO subscriptions (recipient, channel, event, category, priority, department, team, created_at)
    VALUES (%s, %s, 'ticket.classified', '', '', '', '', now())
"""
DELIVERED = """
    SELECT count(*), count(n.sent_at),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM n.sent_at - t.created_at) * 1000)
    FROM notifications n JOIN tickets t ON t.id = n.ticket_id WHERE t.id > %s AND n.channel IN ('email', 'webhook')
"""
STAGES = "SELECT count(*) FROM tickets WHERE id > %s AND stage = 'notified'"
LEFT = "SELECT count(*) FROM jobs WHERE actor = 'slack'"
SUBSCRIBED = "SELECT count(*) FROM notifications WHERE ticket_id > %s AND channel = 'slack'"


class Desk(Receiver):
    """The servers behind the webhook and Slack; the latter can hang."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        super().__init__()
        self.reply = self._answer

    @contextmanager
    def hanging(self, hangs: bool) -> Iterator[None]:
        """Have Slack answer nothing inside the block, if it hangs."""
        if hangs:
            self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def _answer(self, arrived: Arrived) -> Reply:
        if arrived.path == "/slack":
            self._free.wait()
        return Reply()


def subscribe(round_: Round, desk: Desk) -> None:
    """Subscribe webhook and Slack to every ticket, and wait until the subscriptions count."""
    with round_.connection.cursor() as cursor:
        for channel in ("webhook", "slack"):
            cursor.execute(ENDPOINT, (channel, channel, f"{desk.url}/{channel}"))
            cursor.execute(SUBSCRIPTION, (channel, channel))
    before = round_.last_id()

    def counts() -> bool:
        round_.submit(20, 20.0)
        return bool(round_.row(SUBSCRIBED, before)[0])

    round_.wait(counts, "a subscription that does not count")
    round_.wait(lambda: round_.row(LEFT) == (0,), "messages to Slack")


def measure(round_: Round, desk: Desk, hangs: bool, rate: float, seconds: float) -> dict[str, Any]:
    """Return how long e-mail and webhook took, with Slack hanging beside them or not."""
    before, count = round_.last_id(), round(rate * seconds)

    def delivered() -> bool:
        messages, sent, _ = round_.row(DELIVERED, before)
        return round_.row(STAGES, before) == (count,) and messages == sent

    with desk.hanging(hangs):
        round_.submit(count, rate)
        round_.wait(delivered, "messages that were not sent")
        _, _, (p50, p95) = round_.row(DELIVERED, before)
        left = int(round_.row(LEFT)[0])
    with round_.connection.cursor() as cursor:
        # the next round begins with none
        cursor.execute("DELETE FROM jobs WHERE actor = 'slack' AND lease IS NULL")
    round_.wait(lambda: round_.row(LEFT) == (0,), "messages to Slack")
    return {"hangs": hangs, "slack_left": left, "p50": p50, "p95": p95}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.hanging", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each kind, in turn (2)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long tickets come, and Slack hangs, in each (60)"
    )
    parser.add_argument("--rate", type=float, default=20.0, help="tickets a second (20)")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers() as servers, Desk() as desk, Console(stderr=True).status("starting") as status:
        where = results.surroundings(servers)
        variables = {"AURA_WEBHOOK_HOSTS": desk.host, "AURA_CHANNEL_RATES": "off", "AURA_DIGEST_ABOVE": "0"}
        contender = CONTENDERS["aura"]
        with Round(replace(contender, env={**contender.env, **variables}), servers) as round_:
            round_.warm_up()
            subscribe(round_, desk)
            measured = []
            for number in range(asked.rounds):
                for hangs in (False, True):
                    status.update(f"round {number + 1}, Slack {'hangs' if hangs else 'answers'}")
                    measured.append(measure(round_, desk, hangs, asked.rate, asked.seconds))
    p95 = {kind: median(each["p95"] for each in measured if each["hangs"] == kind) for kind in (False, True)}
    found = {"ratio": p95[True] / p95[False], "p95_alone": p95[False], "p95_beside": p95[True]}
    found |= {"rate": asked.rate, "seconds": asked.seconds, "rounds": measured, **where}
    print(json.dumps(results.rounded(found), indent=2))
    if not asked.dry:
        page.write(results.store("hanging", found))
    return 0 if found["ratio"] <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
