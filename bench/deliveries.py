"""`python -m bench.deliveries`: how many mails and webhooks one worker process sends in a second.

The notifications are there and due at once; a mail server of its own (aiosmtpd) and a real HTTP server take them. Printed is
the rate of each channel, from the first to the last that is recorded as sent, on the database's clock.
"""

from __future__ import annotations

import argparse
import json
import smtplib
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from statistics import median

from rich.console import Console

from bench import results
from bench.contenders import CONTENDERS, Contender
from bench.rounds import Round
from bench.services import Servers
from db.jobs import CHANNEL
from tests.receiver import Receiver
from tests.services import Service

ENDPOINT = """
    INSERT INTO endpoints (name, channel, url, secret, old_secret, changed_at)
    VALUES ('desk', 'webhook', %s, '', '', now())
"""
NOTIFICATIONS = """
    INSERT INTO notifications
           (id, event, channel, recipient, role, dedupe_key, subject, body, state, provider_id, created_at)
    SELECT md5(%(channel)s || n), 'ticket.classified', %(channel)s, %(recipient)s, 'reporter', %(channel)s || n,
           'Ticket ' || n || ' was classified', repeat('It was classified as Network, and is urgent. ', 20),
           'enqueued', '', clock_timestamp()
    FROM generate_series(%(first)s, %(last)s) AS n
"""
JOBS = """
    INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at)
    SELECT channel, id, '[]', '', '[]', 0, clock_timestamp(), clock_timestamp()
    FROM notifications WHERE channel = %(channel)s AND state = 'enqueued'
"""
WAITING = "SELECT count(*) FROM notifications WHERE channel = %s AND state <> 'sent'"
RATE = """
    SELECT (count(*) - 1) / extract(epoch FROM max(sent_at) - min(sent_at))::float
    FROM notifications WHERE channel = %(channel)s
    AND dedupe_key IN (SELECT %(channel)s || n FROM generate_series(%(first)s, %(last)s) AS n)
"""
#: Deliveries that warm the worker up.
WARM_UP = 200


class MailServer(Service):
    """Takes every mail, and keeps none."""

    package = ""

    def launch(self) -> subprocess.Popen[bytes]:
        sink = ["-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{self.port}"]
        return self.spawn([sys.executable, *sink])

    def answers(self) -> bool:
        with suppress(OSError), smtplib.SMTP("127.0.0.1", self.port, timeout=5) as client:
            return client.noop()[0] == 250
        return False


def one_process(mail: MailServer, desk: Receiver) -> Contender:
    """Return Aura with one worker process, that sends to these two."""
    aura = CONTENDERS["aura"]
    [command] = aura.commands
    alone = tuple(
        "1" if before == "--processes" else word for before, word in zip(("", *command), command, strict=False)
    )
    env = {"SMTP_URL": f"smtp://127.0.0.1:{mail.port}", "AURA_WEBHOOK_HOSTS": desk.host, "AURA_CHANNEL_RATES": "off"}
    return replace(aura, commands=(alone,), consumers=1, env={**aura.env, **env})


def measure(round_: Round, channel: str, recipient: str, first: int, count: int) -> float:
    """Return how many were sent in a second."""
    asked = {"channel": channel, "recipient": recipient, "first": first, "last": first + count - 1}
    with round_.connection.cursor() as cursor:
        for statement in (NOTIFICATIONS, JOBS):
            cursor.execute(statement, asked)
        cursor.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
        round_.wait(lambda: round_.row(WAITING, channel) == (0,), f"messages to {channel}")
        cursor.execute(RATE, asked)
        return float(next(iter(cursor))[0])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.deliveries", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="messages of a channel in each round (2,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (3)")
    asked = parser.parse_args()
    with Servers() as servers, Receiver() as desk, MailServer() as mail, Console(stderr=True).status("starting"):
        where = results.surroundings(servers)
        with Round(one_process(mail, desk), servers) as round_:
            with round_.connection.cursor() as cursor:
                cursor.execute(ENDPOINT, (f"{desk.url}/desk",))
            rates: dict[str, list[float]] = {}
            for channel, recipient in (("email", "ada@example.com"), ("webhook", "desk")):
                measure(round_, channel, recipient, 0, WARM_UP)
                firsts = [WARM_UP + asked.count * number for number in range(asked.rounds)]
                rates[channel] = [measure(round_, channel, recipient, first, asked.count) for first in firsts]
    medians = {channel: median(each) for channel, each in rates.items()}
    print(json.dumps(results.rounded({"a_second": medians, "rounds": rates, **where}), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
