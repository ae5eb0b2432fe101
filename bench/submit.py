"""`python -m bench.submit CONTENDER TICKETS`: submits the tickets of one round, as each contender's user would."""

from __future__ import annotations

import sys

from db import tickets, transaction
from db.tickets import Submission

BATCH = 500


def submit(contender: str, count: int) -> None:
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        with transaction() as session:
            ids = tickets.accept(session, "bench", [(_ticket(number), {}) for number in numbers])
            if contender == "aura":
                from pipelines import triage

                triage.send_many(ids)
        if contender == "plain":
            from bench.plain import intake

            for ticket_id in ids:
                intake.send(ticket_id)


def _ticket(number: int) -> Submission:
    title = f"Printer {number} on floor {number % 7} jams"
    return Submission(
        title=title, description="It says paper jam, but there is none.", requester=f"p{number}@example.com"
    )


if __name__ == "__main__":
    submit(sys.argv[1], int(sys.argv[2]))
