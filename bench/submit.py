"""`python -m bench.submit CONTENDER FIRST COUNT [RATE]`: submits tickets as each contender's user would.

Without a rate as fast as it goes, 500 tickets a transaction; with one, every ticket at its time, and those that have become
due together go in one transaction.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterable, Iterator

from bench.contenders import CONTENDERS, Contender
from db import tickets, transaction
from db.new_tickets import NewTicket

BATCH = 500
#: What the tickets say, in turn; each comes from a requester of its own, so none is a duplicate.
TEXTS = (
    ("Printer {n} on floor 3 jams", "It says paper jam, but there is none."),
    ("VPN {n} drops every ten minutes", "Since this morning, from home, on Wi-Fi and on cable."),
    ("Outlook {n} does not start", "It hangs at 'loading profile'. Restarted twice."),
    ("Access to share {n}", "Please give me read access to the finance share."),
    ("Suspicious mail {n}", "Somebody asks for my password and says he is from the bank."),
    ("Laptop {n} is very slow", "Excel needs a minute to open, the fan is loud."),
    ("Passwort {n} vergessen", "Ich kann mich seit heute nicht mehr anmelden."),
    ("Toner {n}", "Please order black toner for the second floor."),
)


def submit(contender: Contender, numbers: Iterable[int]) -> None:
    """Store the tickets and send them on their way: in one transaction, or where there is none, after the commit."""
    send = importlib.import_module(contender.module).send
    with transaction() as session:
        ids = tickets.create(session, "bench", [(ticket(number), {}) for number in numbers])
        if contender.transactional:
            send(ids)
    if not contender.transactional:
        send(ids)


def ticket(number: int) -> NewTicket:
    title, description = TEXTS[number % len(TEXTS)]
    requester = f"person{number}@example.com"
    return NewTicket(title=title.format(n=number), description=description, requester=requester)


def at_once(count: int) -> Iterator[range]:
    """Yield all numbers, a batch at a time."""
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def paced(count: int, rate: float) -> Iterator[range]:
    """Yield each number when its time has come; whoever is late catches up, so a slow answer hides no ticket."""
    started, done = time.perf_counter(), 0
    while done < count:
        due = min(count, int((time.perf_counter() - started) * rate) + 1)
        if due > done:
            yield range(done, due)
            done = due
        else:
            time.sleep(max(0.0, started + done / rate - time.perf_counter()))


def main(name: str, first: int, count: int, rate: float = 0.0) -> None:
    contender = CONTENDERS[name]
    importlib.import_module(contender.module)
    for numbers in paced(count, rate) if rate else at_once(count):
        submit(contender, [first + number for number in numbers])


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), *map(float, sys.argv[4:]))
