"""`python -m bench.scaling`: tickets a second and CPU for a ticket by worker processes, worker commands (relays) and backlog.

All run beside PostgreSQL and RabbitMQ on this machine, so the rate stops growing when its cores are used; the CPU for a ticket
says what a further machine would add. The figures are written to bench/results.json and docs/explanation/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from rich.console import Console

from bench import page, results, scaling_page
from bench.contenders import CONTENDERS, Contender
from bench.rounds import Round
from bench.services import Servers

#: Tickets of a measurement, and measurements of each layout.
TICKETS, ROUNDS = 5_000, 3
#: Worker commands and the processes of each.
LAYOUTS = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1))


def layout(commands: int, processes: int) -> Contender:
    """Return Aura with so many worker commands, each with a relay and so many processes of eight threads."""
    aura = CONTENDERS["aura"]
    [command] = aura.commands
    at = command.index("--processes") + 1
    one = (*command[:at], str(processes), *command[at + 1 :])
    return replace(aura, commands=(one,) * commands, consumers=commands * processes)


def measured(servers: Servers, tickets: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the medians of each layout; the layouts take turns."""
    samples: dict[tuple[int, int], list[dict[str, float]]] = {each: [] for each in LAYOUTS}
    for _ in range(rounds):
        for commands, processes in LAYOUTS:
            with Round(layout(commands, processes), servers) as round_:
                round_.warm_up()
                sample = round_.throughput(tickets)
            samples[commands, processes].append(
                {
                    "tickets_per_second": sample.tickets_per_second,
                    **{f"cpu_{who}": used for who, used in sample.cpu.items()},
                    "database_connections": sample.database_connections,
                    "broker_connections": sample.broker_connections,
                    "memory_mb": sample.memory_mb,
                }
            )
    for (commands, processes), each in samples.items():
        yield {
            "commands": commands,
            "processes": processes,
            **{name: median(sample[name] for sample in each) for name in each[0]},
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=TICKETS, help=f"tickets of a measurement ({TICKETS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measurements of each layout ({ROUNDS})")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers() as servers, Console(stderr=True).status("measuring"):
        found: dict[str, Any] = results.surroundings(servers)
        found |= {"tickets": asked.tickets, "rounds": asked.rounds}
        found["layouts"] = list(measured(servers, asked.tickets, asked.rounds))
        found["load_after"] = round(os.getloadavg()[0], 1)
    Console().print(scaling_page.layouts(results.rounded(found)))
    if not asked.dry:
        page.write(results.store("layouts", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
